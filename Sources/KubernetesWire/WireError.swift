/// A body that can't be read on: nothing can be said about what follows in it.
public struct WireError: Error, Sendable, Equatable {
    /// What was read, such as `ServiceList` or `watch of Services`.
    public var kind: String
    /// Where, in bytes from the body's start.
    public var offset: Int
    /// What is wrong, in one line.
    public var message: String

    public init(kind: String, offset: Int, message: String) {
        self.kind = kind
        self.offset = offset
        self.message = message
    }
}

extension WireError: CustomStringConvertible {
    public var description: String { "\(kind): byte \(offset): \(message)" }
}
