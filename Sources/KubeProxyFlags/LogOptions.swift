public import ArgumentParser
import Documents
public import ProxyConfiguration

/// How the log looks. These flags go before a configuration file.
public struct LogOptions: ParsableArguments, Sendable {
    @Option(
        name: [.customLong("log-format"), .customLong("logging-format")],
        help: ArgumentHelp("How log lines on standard error look: text (the default) or json."))
    public var logFormat: AgentConfiguration.Logging.Format?

    @Option(
        name: [.customShort("v", allowingJoined: true), .customLong("v"), .customLong("verbose")],
        defaultAsFlag: Verbosity.debug, parsing: .next,
        help: ArgumentHelp("Log more; from 4 on, each commit and what led to it.", valueName: "level"))
    var verbosity: Verbosity?

    @Option(help: .hidden)
    var vmodule: [ModuleVerbosities] = []

    @Option(help: .hidden)
    var logFlushFrequency: GoDuration?

    @Option(defaultAsFlag: Switch.on, parsing: .next, help: .hidden)
    var logTextSplitStream: Switch?

    @Option(help: .hidden)
    var logTextInfoBufferSize: String?

    @Option(defaultAsFlag: Switch.on, parsing: .next, help: .hidden)
    var logJsonSplitStream: Switch?

    @Option(help: .hidden)
    var logJsonInfoBufferSize: String?

    public init() {}

    /// What was asked for; the rest is the file's to say.
    public var level: Int? { verbosity?.level }

    func apply(to settings: inout FlagSettings) {
        settings.overrides.logFormat = logFormat
        settings.overrides.verbosity = level
        if let verbosity, verbosity.level == nil {
            settings.refuse("--v", "\(Text.quoted(verbosity.description)) is not a whole number from 0")
        }
        settings.check("--log-text-split-stream", logTextSplitStream)
        settings.check("--log-json-split-stream", logJsonSplitStream)
        // Without effect here, so there is nothing that a file would have to give way in.
        let flags: [(String, Bool)] = [
            ("--vmodule", !vmodule.isEmpty), ("--log-flush-frequency", logFlushFrequency != nil),
            ("--log-text-split-stream", logTextSplitStream != nil),
            ("--log-text-info-buffer-size", logTextInfoBufferSize != nil),
            ("--log-json-split-stream", logJsonSplitStream != nil),
            ("--log-json-info-buffer-size", logJsonInfoBufferSize != nil),
        ]
        for (flag, isGiven) in flags where isGiven {
            settings.ignore(flag, "each line goes to standard error at once, and -v counts for all")
        }
    }
}
