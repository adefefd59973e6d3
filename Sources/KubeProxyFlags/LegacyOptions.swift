import ArgumentParser
import ProxyConfiguration

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
        let switches: [(String, Switch?)] = [
            ("--add-dir-header", addDirHeader), ("--alsologtostderr", alsologtostderr),
            ("--logtostderr", logtostderr), ("--one-output", oneOutput), ("--skip-headers", skipHeaders),
            ("--skip-log-headers", skipLogHeaders),
        ]
        for (flag, value) in switches { settings.check(flag, value) }
        let texts = [
            ("--log-backtrace-at", logBacktraceAt), ("--log-dir", logDir), ("--log-file", logFile),
            ("--log-file-max-size", logFileMaxSize), ("--stderrthreshold", stderrthreshold),
        ]
        let flags = switches.map { ($0, $1 != nil) } + texts.map { ($0, $1 != nil) }
        for (flag, isGiven) in flags where isGiven {
            settings.deprecate(flag, "ignored, the log goes to standard error")
        }
        for (flag, value) in [("--boot-id-file", bootIdFile), ("--machine-id-file", machineIdFile)]
        where value != nil {
            settings.deprecate(flag, "ignored, Sluice reads no such file")
        }
    }
}
