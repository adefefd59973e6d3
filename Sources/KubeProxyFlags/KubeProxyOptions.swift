public import ArgumentParser
public import ProxyConfiguration

/// All flags of kube-proxy v1.36 that say how it runs, with its names and forms.
public struct KubeProxyOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "kube-proxy's configuration file. With it, only the flags for logging, --hostname-override and --master count.",
            valueName: "path"))
    public var config: String?

    @Option(
        help: ArgumentHelp(
            "Write the configuration with all defaults to a file, and exit.", valueName: "path"))
    public var writeConfigTo: String?

    @Option(
        defaultAsFlag: Switch.on, parsing: .next,
        help: ArgumentHelp(
            "Set what needs full rights, connection tracking's limits, and exit.", valueName: "bool"))
    var initOnly: Switch?

    @Option(
        defaultAsFlag: Switch.on, parsing: .next,
        help: ArgumentHelp(
            "Remove the tables that Sluice made, and exit, as `sluice cleanup`.", valueName: "bool"))
    var cleanup: Switch?

    @OptionGroup(title: "Proxy")
    var proxy: ProxyOptions

    @OptionGroup(title: "Servers")
    var servers: ServerOptions

    @OptionGroup(title: "Connection tracking")
    var conntrack: ConntrackOptions

    @OptionGroup(title: "Other modes")
    var otherModes: OtherModeOptions

    @OptionGroup(title: "Logging")
    public var log: LogOptions

    @OptionGroup(visibility: .hidden)
    var legacy: LegacyOptions

    public init() {}

    /// What is done instead of serving.
    public enum Action: Sendable, Hashable {
        case writeConfiguration(path: String)
        case cleanUp
        case initialize
    }

    /// Nil: to serve. Of several, the first counts, as with kube-proxy.
    public var action: Action? {
        if let writeConfigTo, !writeConfigTo.isEmpty { return .writeConfiguration(path: writeConfigTo) }
        if cleanup?.isOn == true { return .cleanUp }
        return initOnly?.isOn == true ? .initialize : nil
    }

    /// Refuses flags that can't be right: by their form in any case, by their values where no file goes before them.
    public func validate() throws {
        do throws(ConfigurationError) {
            let settings = settings
            try settings.checkForms()
            if (config ?? "").isEmpty { _ = try AgentConfiguration(settings) }
        } catch {
            throw ValidationError(error.description)
        }
    }

    /// What the flags say.
    public var settings: FlagSettings {
        var settings = FlagSettings()
        settings.check("--cleanup", cleanup)
        settings.check("--init-only", initOnly)
        proxy.apply(to: &settings)
        servers.apply(to: &settings)
        conntrack.apply(to: &settings)
        otherModes.apply(to: &settings)
        log.apply(to: &settings)
        legacy.apply(to: &settings)
        return settings
    }

    /// What the agent is to do, and the file that said so, for the watcher: nil without `--config`.
    ///
    /// - Throws: `ConfigurationError` with all that is wrong.
    public func load() throws(ConfigurationError) -> (AgentConfiguration, KubeProxyConfiguration.File?) {
        guard let config, !config.isEmpty else { return (try AgentConfiguration(settings), nil) }
        let file = try KubeProxyConfiguration.read(file: config)
        return (try AgentConfiguration(file, at: config, settings), file)
    }
}
