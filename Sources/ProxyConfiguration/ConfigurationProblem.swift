import Documents

/// One thing that is wrong in a configuration file or on the command line.
public struct ConfigurationProblem: Error, Sendable, Hashable {
    /// The file; nil for the command line.
    public var file: String?
    /// The line, counted from 1.
    public var line: Int?
    /// The field's path, as `conntrack.min`, or the flag, as `--conntrack-min`; nil when it isn't about one.
    public var field: String?
    public var message: String

    public init(file: String? = nil, line: Int? = nil, field: String? = nil, message: String) {
        self.file = file
        self.line = line
        self.field = field
        self.message = message
    }
}

extension ConfigurationProblem: CustomStringConvertible {
    /// `kube-proxy.yaml:12: conntrack.min: -1 is below 0`.
    public var description: String {
        var parts: [String] = []
        if let file {
            let name = Text.isPlain(file, limit: 4096) ? file : Text.quoted(file)
            parts.append(line.map { "\(name):\($0)" } ?? name)
        }
        if let field { parts.append(field) }
        return (parts + [message]).joined(separator: ": ")
    }
}

/// A configuration that can't be used; says all that is wrong.
public struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// In the order of the file; never empty.
    public let problems: [ConfigurationProblem]

    public init(_ problems: [ConfigurationProblem]) { self.problems = problems }

    /// One line for each problem.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// What an operator should know about a configuration that is usable: a setting that has no effect here, or
/// another one than under kube-proxy.
public struct ConfigurationNotice: Sendable, Hashable, CustomStringConvertible {
    /// The field's path, as `ipvs.scheduler`, or the flag, as `--ipvs-scheduler`.
    public var setting: String
    /// What is done instead.
    public var message: String
    /// False when it says only that Sluice does something of itself.
    public var isWarning: Bool

    public init(_ setting: String, _ message: String, isWarning: Bool = true) {
        self.setting = setting
        self.message = message
        self.isWarning = isWarning
    }

    public var description: String { "\(setting): \(message)" }
}
