import Glibc

/// One number that the kernel shows as a file below /proc/sys or /sys.
public struct KernelParameter: Sendable, Hashable {
    /// Absolute, as `/proc/sys/net/netfilter/nf_conntrack_max`.
    public var path: String
    public var value: Int
    /// True when a larger value is right as well.
    public var isMinimum: Bool

    public init(path: String, value: Int, isMinimum: Bool = false) {
        self.path = path
        self.value = value
        self.isMinimum = isMinimum
    }
}

/// What came of one parameter.
public struct KernelParameterOutcome: Sendable, Equatable {
    public enum Result: Sendable, Equatable {
        /// `from` is the value before; nil when it couldn't be read.
        case written(from: Int?)
        case alreadyRight
        /// The call that failed and the errno's text, as `open: Read-only file system`.
        case failed(String)
    }

    public var parameter: KernelParameter
    public var result: Result

    public init(parameter: KernelParameter, result: Result) {
        self.parameter = parameter
        self.result = result
    }
}

extension KernelParameterOutcome: CustomStringConvertible {
    /// One line for the log.
    public var description: String {
        switch result {
        case .written(let before):
            "\(parameter.path) set to \(parameter.value)" + (before.map { ", was \($0)" } ?? "")
        case .alreadyRight: "\(parameter.path) is right"
        case .failed(let why): "\(parameter.path) can't be set to \(parameter.value): \(why)"
        }
    }
}

/// Sets kernel parameters that aren't right already.
public struct KernelParameterWriter: Sendable {
    private let root: String

    /// - Parameter root: what goes before each path: empty for the machine's own.
    public init(root: String = "") { self.root = root }

    /// The machine's cores that are online, also those that this process may not run on: its connections
    /// come from all of them. At least 1.
    public static var onlineCores: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// Sets each in turn; one that fails doesn't hold up the others.
    ///
    /// What is below /proc/sys/net is that of the calling thread's network namespace.
    public func apply(_ parameters: [KernelParameter]) -> [KernelParameterOutcome] {
        parameters.map { KernelParameterOutcome(parameter: $0, result: set($0)) }
    }

    private func set(_ parameter: KernelParameter) -> KernelParameterOutcome.Result {
        let path = root + parameter.path
        let before = read(path)
        if let before, before == parameter.value || (parameter.isMinimum && before > parameter.value) {
            return .alreadyRight
        }
        // Never created: a kernel without this parameter is a failure to tell, not a file to leave behind.
        let file = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC)
        guard file >= 0 else { return .failed("open: \(String(cString: strerror(errno)))") }
        defer { close(file) }
        let text = Array("\(parameter.value)\n".utf8)
        guard write(file, text, text.count) == text.count else {
            return .failed("write: \(String(cString: strerror(errno)))")
        }
        return .written(from: before)
    }

    /// Nil when the file can't be read or holds something else.
    private func read(_ path: String) -> Int? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = Glibc.read(file, &bytes, bytes.count)
        guard count > 0 else { return nil }
        return Int(String(decoding: bytes[..<count].prefix { $0 > 32 }, as: UTF8.self))
    }
}
