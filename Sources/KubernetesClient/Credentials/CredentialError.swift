/// What keeps this client from knowing the API server or proving who it is; never holds a secret.
public struct CredentialError: Error, Equatable, CustomStringConvertible {
    /// The file it is about; nil when it is about none.
    public var file: String?
    /// The field in it, such as `clusters[0].cluster.server`; or an environment variable or flag.
    public var field: String?
    /// What is wrong, in one line.
    public var message: String
    /// The end of what a credential plugin wrote to standard error, in one line. It may hold a time or a number that
    /// makes it another each time, so it doesn't tell one problem from another.
    public var plugin: String?

    public init(file: String? = nil, field: String? = nil, message: String, plugin: String? = nil) {
        self.file = file
        self.field = field
        self.message = message
        self.plugin = plugin
    }

    /// Without what a plugin says.
    var problem: String {
        [file, field, message].compactMap { $0 }.joined(separator: ": ")
    }

    public var description: String {
        plugin.map { "\(problem); it says: \($0)" } ?? problem
    }
}
