public import ArgumentParser
public import Configuration

/// A flag that may go without value, as Go's boolean flags: `--flag`, `--flag=false`.
public struct Switch: Sendable, Hashable, ExpressibleByArgument, CustomStringConvertible {
    public var isOn: Bool

    static let on = Switch(isOn: true)

    public init(isOn: Bool) { self.isOn = isOn }

    /// What Go's strconv.ParseBool takes.
    public init?(argument: String) {
        switch argument {
        case "1", "t", "T", "true", "TRUE", "True": isOn = true
        case "0", "f", "F", "false", "FALSE", "False": isOn = false
        default: return nil
        }
    }

    public var description: String { String(isOn) }
}

extension GoDuration: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

/// `name=true,other=false`, as `--feature-gates` takes it.
public struct SwitchMap: Sendable, Hashable, ExpressibleByArgument {
    public var switches: [String: Bool]

    public init?(argument: String) {
        switches = [:]
        for pair in argument.split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " } }
            guard parts.count == 2, let value = Switch(argument: parts[1]) else { return nil }
            switches[parts[0]] = value.isOn
        }
    }
}

/// `pattern=level,…`, as `--vmodule` takes it.
public struct ModuleVerbosities: Sendable, Hashable, ExpressibleByArgument {
    /// Patterns and levels, in their order.
    public var patterns: [String]
    public var levels: [UInt32]

    public init?(argument: String) {
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
