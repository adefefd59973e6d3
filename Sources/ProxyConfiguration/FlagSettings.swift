import Documents
import IPAddressing

/// A configuration as flags give it, with the flag that each field came from: so a message can name what its
/// reader wrote.
public struct FlagSettings: Sendable, Equatable {
    public private(set) var configuration = KubeProxyConfiguration()
    /// The flags that say what a file can say, in the order they are known: with `--config` they don't count.
    public private(set) var given: [String] = []
    /// What goes with a file as well.
    public var overrides = AgentConfiguration.Overrides()
    /// Flags that are only taken for the sake of old command lines.
    public private(set) var notices: [ConfigurationNotice] = []
    /// The servers that a flag turned off, by their fields.
    private(set) var disabledServers: Set<String> = []
    /// Values that are no configuration at all, so that they are wrong beside a file as well.
    private var refusals: [ConfigurationProblem] = []
    private(set) var problems: [ConfigurationProblem] = []
    /// Flags by the path of the field they set.
    private var flags: [String: String] = [:]

    public init() {}

    /// The path of the field at a place.
    private static func path(of place: AnyKeyPath) -> String? {
        ConfigurationField.all.first { $0.access.place == place }?.path.description
    }

    private mutating func note(_ flag: String, _ place: AnyKeyPath) {
        given.append(flag)
        guard let path = Self.path(of: place) else {
            preconditionFailure("\(flag) sets no field of the file")
        }
        flags[path] = flag
    }

    /// Sets the field that `flag` stands for; a flag that wasn't given, nil, changes nothing.
    public mutating func set<Value>(
        _ flag: String, _ value: Value?, _ place: WritableKeyPath<KubeProxyConfiguration, Value>
    ) {
        guard let value else { return }
        note(flag, place)
        configuration[keyPath: place] = value
    }

    /// The same for a field that may be unset.
    public mutating func set<Value>(
        _ flag: String, _ value: Value?, _ place: WritableKeyPath<KubeProxyConfiguration, Value?>
    ) {
        guard let value else { return }
        note(flag, place)
        configuration[keyPath: place] = value
    }

    /// Sets a period. 0, which in a file means the default, is refused as kube-proxy does.
    public mutating func set(
        period flag: String, _ value: GoDuration?,
        _ place: WritableKeyPath<KubeProxyConfiguration, GoDuration>
    ) {
        set(flag, value, place)
        guard let value, value.nanoseconds == 0 else { return }
        problems.append(ConfigurationProblem(field: flag, message: "0s is not above 0"))
    }

    /// Sets where a server listens. An empty address, or port 0, turns it off.
    ///
    /// - Parameter port: of the flag that was only for the port; the address's own goes before it.
    public mutating func set(
        server flag: String, _ address: String?, port: (flag: String, value: UInt16?),
        _ place: WritableKeyPath<KubeProxyConfiguration, String>
    ) {
        let path = Self.path(of: place) ?? ""
        set(flag, address, place)
        if address == "" { disabledServers.insert(path) }
        guard let value = port.value else { return }
        deprecate(port.flag, "use \(flag)")
        note(port.flag, place)
        if value == 0 {
            disabledServers.insert(path)
        } else if let address, !address.isEmpty {
            configuration[keyPath: place] = AddressPort.text(address, defaultPort: value)
        } else if address == nil {
            let isLocal = place == \KubeProxyConfiguration.metricsBindAddress
            configuration[keyPath: place] = "\(isLocal ? "127.0.0.1" : "0.0.0.0"):\(value)"
        }
    }

    /// Notes a flag that is taken, but should not be used.
    public mutating func deprecate(_ flag: String, _ message: String) {
        notices.append(ConfigurationNotice(flag, "deprecated: \(message)"))
    }

    /// Notes a flag that is taken, but has no effect.
    public mutating func ignore(_ flag: String, _ message: String) {
        notices.append(ConfigurationNotice(flag, "ignored: \(message)"))
    }

    /// Notes a flag whose value can't be read.
    public mutating func refuse(_ flag: String, _ message: String) {
        refusals.append(ConfigurationProblem(field: flag, message: message))
    }

    /// - Throws: `ConfigurationError` that names the flags whose values can't be read.
    public func checkForms() throws(ConfigurationError) {
        guard refusals.isEmpty else { throw ConfigurationError(refusals) }
    }

    /// The flag that set the field at `path`, or its list; the path itself when none did.
    func name(of path: String) -> String { flags[String(path.prefix { $0 != "[" })] ?? path }
}

extension ConfigurationField.Access {
    /// Where the value is.
    var place: AnyKeyPath {
        switch self {
        case .string(let place), .quantity(let place): place
        case .bool(let place): place
        case .optionalBool(let place): place
        case .int32(let place): place
        case .optionalInt32(let place): place
        case .verbosity(let place): place
        case .number(let place): place
        case .duration(let place), .durationOrNanoseconds(let place): place
        case .optionalDuration(let place): place
        case .strings(let place): place
        case .switches(let place): place
        case .modules(let place): place
        }
    }
}

extension AgentConfiguration {
    /// What follows from the command line alone.
    ///
    /// - Throws: `ConfigurationError` that names flags.
    public init(
        _ flags: FlagSettings, hostName: @escaping () -> String = AgentConfiguration.machineName
    ) throws(ConfigurationError) {
        do throws(ConfigurationError) {
            try self.init(
                flags.configuration, overrides: flags.overrides, disabledServers: flags.disabledServers,
                hostName: hostName)
        } catch {
            throw ConfigurationError(flags.problems + error.problems.map { $0.named(by: flags) })
        }
        guard flags.problems.isEmpty else { throw ConfigurationError(flags.problems) }
        notices = flags.notices + notices.map { $0.named(by: flags) }
    }

    /// What follows from a configuration file and the flags that go with it: those for logging, `--hostname-override`
    /// and `--master`. Others give way to the file, and are named in one notice.
    ///
    /// - Throws: `ConfigurationError` that names the file.
    public init(
        _ file: KubeProxyConfiguration.File, at path: String, _ flags: FlagSettings,
        hostName: @escaping () -> String = AgentConfiguration.machineName
    ) throws(ConfigurationError) {
        do throws(ConfigurationError) {
            try self.init(file.configuration, overrides: flags.overrides, hostName: hostName)
        } catch {
            throw ConfigurationError(
                error.problems.map { problem in
                    var problem = problem
                    problem.file = path
                    return problem
                })
        }
        if !flags.given.isEmpty {
            let names = flags.given.joined(separator: " ")
            notices.insert(ConfigurationNotice("--config", "the file counts, not \(names)"), at: 0)
        }
        notices = flags.notices + notices
    }
}

extension ConfigurationProblem {
    fileprivate func named(by flags: FlagSettings) -> Self {
        var result = self
        result.field = field == "hostnameOverride" ? "--hostname-override" : field.map(flags.name)
        return result
    }
}

extension ConfigurationNotice {
    fileprivate func named(by flags: FlagSettings) -> Self {
        var result = self
        result.setting = flags.name(of: setting)
        return result
    }
}
