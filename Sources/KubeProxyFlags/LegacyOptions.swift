import ArgumentParser
import Configuration

/// Flags of klog and cAdvisor that kube-proxy's command line has had: taken, so that old command lines go on working.
struct LegacyOptions: ParsableArguments {
    @Option(defaultAsFlag: Switch.on, parsing: .next, help: .hidden) var addDirHeader: Switch?
    @Option(defaultAsFlag: Switch.on, parsing: .next, help: .hidden) var alsologtostderr: Switch?
    @Option(defaultAsFlag: Switch.on, parsing: .next, help: .hidden) var logtostderr: Switch?
    @Option(defaultAsFlag: Switch.on, parsing: .next, help: .hidden) var oneOutput: Switch?
    @Option(defaultAsFlag: Switch.on, parsing: .next, help: .hidden) var skipHeaders: Switch?
    @Option(defaultAsFlag: Switch.on, parsing: .next, help: .hidden) var skipLogHeaders: Switch?
    @Option(help: .hidden) var logBacktraceAt: String?
    @Option(help: .hidden) var logDir: String?
    @Option(help: .hidden) var logFile: String?
    @Option(help: .hidden) var logFileMaxSize: String?
    @Option(help: .hidden) var stderrthreshold: String?
    @Option(help: .hidden) var bootIdFile: String?
    @Option(help: .hidden) var machineIdFile: String?

    func apply(to settings: inout FlagSettings) {
        let flags: [(String, Bool)] = [
            ("--add-dir-header", addDirHeader != nil), ("--alsologtostderr", alsologtostderr != nil),
            ("--logtostderr", logtostderr != nil), ("--one-output", oneOutput != nil),
            ("--skip-headers", skipHeaders != nil), ("--skip-log-headers", skipLogHeaders != nil),
            ("--log-backtrace-at", logBacktraceAt != nil), ("--log-dir", logDir != nil),
            ("--log-file", logFile != nil), ("--log-file-max-size", logFileMaxSize != nil),
            ("--stderrthreshold", stderrthreshold != nil),
        ]
        for (flag, isGiven) in flags where isGiven {
            settings.deprecate(flag, "ignored, the log goes to standard error")
        }
        for (flag, value) in [("--boot-id-file", bootIdFile), ("--machine-id-file", machineIdFile)]
        where value != nil {
            settings.deprecate(flag, "ignored, Sluice reads no such file")
        }
    }
}
