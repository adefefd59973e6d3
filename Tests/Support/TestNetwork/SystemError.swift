import Glibc

/// A system call that failed: what was tried, and the errno value.
public struct SystemError: Error, CustomStringConvertible {
    public let operation: String
    public let number: Int32

    /// Takes errno as the last call left it.
    init(_ operation: String, number: Int32 = errno) {
        self.operation = operation
        self.number = number
    }

    public var description: String { "\(operation): \(errorText(number))" }
}

/// The C library's text for an errno value, e.g. `Connection refused`.
func errorText(_ number: Int32) -> String {
    guard let text = strerror(number) else { return "errno \(number)" }
    return String(cString: text)
}
