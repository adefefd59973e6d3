/// What keeps this client from knowing the API server or proving who it is; never holds a secret.
public struct CredentialError: Error, Equatable, CustomStringConvertible {
    /// The file it is about; nil when it is about none.
    public var file: String?
    /// The field in it, such as `clusters[0].cluster.server`; or an environment variable or flag.
    public var field: String?
    /// What is wrong, in one line.
    public var message: String

    public init(file: String? = nil, field: String? = nil, message: String) {
        self.file = file
        self.field = field
        self.message = message
    }

    public var description: String {
        [file, field, message].compactMap { $0 }.joined(separator: ": ")
    }
}
