public import ArgumentParser
import Documents
public import ProxyConfiguration

/// The value of a flag that may go without one, as Go's boolean flags: `--flag`, `--flag=false`.
///
/// Any text makes one, since the parser takes a text that makes none for no value at all: `--flag=maybe` would be true.
struct Switch: Sendable, Hashable, ExpressibleByArgument, CustomStringConvertible {
    let description: String

    static let on = Switch(argument: "true")

    init(argument: String) { description = argument }

    /// What Go's strconv.ParseBool takes; nil for anything else.
    var isOn: Bool? {
        switch description {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }
}

/// klog's `-v`, with the same reservation.
struct Verbosity: Sendable, Hashable, ExpressibleByArgument, CustomStringConvertible {
    let description: String

    /// From here on it is for debugging.
    static let debug = Verbosity(argument: "4")

    init(argument: String) { description = argument }

    /// Nil for what is no whole number from 0.
    var level: Int? { Int32(description).flatMap { $0 < 0 ? nil : Int($0) } }
}

extension FlagSettings {
    /// Sets the field that a switch stands for.
    mutating func set(
        _ flag: String, _ value: Switch?, _ place: WritableKeyPath<KubeProxyConfiguration, Bool>
    ) {
        check(flag, value)
        set(flag, value?.isOn, place)
    }

    /// The same for a field that may be unset.
    mutating func set(
        _ flag: String, _ value: Switch?, _ place: WritableKeyPath<KubeProxyConfiguration, Bool?>
    ) {
        check(flag, value)
        set(flag, value?.isOn, place)
    }

    /// Refuses what is neither true nor false.
    mutating func check(_ flag: String, _ value: Switch?) {
        if let value, value.isOn == nil {
            refuse(flag, "\(Text.quoted(value.description)) is not true or false")
        }
    }
}

extension GoDuration: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

/// `name=true,other=false`, as `--feature-gates` takes it.
struct SwitchMap: Sendable, Hashable, ExpressibleByArgument {
    var switches: [String: Bool]

    init?(argument: String) {
        switches = [:]
        for pair in argument.split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " } }
            guard parts.count == 2, let value = Switch(argument: parts[1]).isOn else { return nil }
            switches[parts[0]] = value
        }
    }
}

/// `pattern=level,…`, as `--vmodule` takes it.
struct ModuleVerbosities: Sendable, Hashable, ExpressibleByArgument {
    /// Patterns and levels, in their order.
    var patterns: [String]
    var levels: [UInt32]

    init?(argument: String) {
        (patterns, levels) = ([], [])
        for pair in argument.split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let level = UInt32(parts[1]) else { return nil }
            patterns.append(String(parts[0]))
            levels.append(level)
        }
    }
}

extension AgentConfiguration.Logging.Format: ExpressibleByArgument {}
