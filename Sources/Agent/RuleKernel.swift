import Glibc
public import NFTables
public import NFTablesKernel

/// What the loop asks of nf_tables: the kernel's own, or one in a test that refuses on purpose.
public protocol RuleKernel {
    /// See `Connection.commit`.
    func commit(_ operations: [Operation]) throws(KernelError) -> CommitSummary
    /// See `Connection.table`.
    func table(_ id: TableID) throws(KernelError) -> Table?
    /// See `Connection.glance`.
    func glance(at id: TableID) throws(KernelError) -> Table?
    /// See `Connection.elements`.
    func elements(of set: String, in table: TableID) throws(KernelError) -> [Element]
    /// See `Connection.table(_:only:)`.
    func table(_ id: TableID, only scope: TableScope) throws(KernelError) -> Table?
    /// See `Connection.generation`; nil where transactions aren't counted.
    func currentGeneration() throws(KernelError) -> UInt32?
    /// Whether it knows `destroy element` (Linux 6.3).
    var canDestroyElements: Bool { get }
    /// Whether a table can belong to one program and outlive it (Linux 6.9).
    var canOwnTables: Bool { get }
    /// See `Connection.portID`.
    var portID: UInt32 { get }
    /// The port that a table belongs to; nil for nobody's, or where there is none.
    func owner(of table: TableID) throws(KernelError) -> UInt32?
    /// In words, who is behind the port that a table belongs to.
    func owner(behind port: UInt32) -> String
}

/// Something that tells of what others do to the tables, until it is stopped or let go.
public protocol RulesetWatch: AnyObject {
    /// When this returns, the kernel tells it nothing any more.
    func stop()
}

extension RulesetMonitor: RulesetWatch {}

extension RuleKernel {
    public func glance(at id: TableID) throws(KernelError) -> Table? { try table(id) }
    public func table(_ id: TableID, only scope: TableScope) throws(KernelError) -> Table? {
        try table(id)?.limited(to: scope)
    }
    public func currentGeneration() throws(KernelError) -> UInt32? { nil }
    public var canOwnTables: Bool { false }
    public var portID: UInt32 { 0 }
    public func owner(of table: TableID) throws(KernelError) -> UInt32? { nil }
    public func owner(behind port: UInt32) -> String { "netlink port \(port)" }

    /// Throws where a table belongs to another program that runs.
    func checkOwner(of table: TableID) throws(KernelError) {
        guard let owner = try owner(of: table), owner != portID else { return }
        throw .owned(object: "table \(table)", by: self.owner(behind: owner))
    }
}

extension Connection: RuleKernel {
    public func currentGeneration() throws(KernelError) -> UInt32? { try generation() }
    public var canDestroyElements: Bool { KernelRelease.running >= KernelRelease(6, 3) }
    public var canOwnTables: Bool { KernelRelease.running >= KernelRelease(6, 9) }
    public func owner(of table: TableID) throws(KernelError) -> UInt32? {
        try self.table(table, only: TableScope())?.owner
    }
    public func owner(behind port: UInt32) -> String { NetlinkPeer.description(ofPort: port) }
}

/// The release of a kernel (`uname -r`), as far as it says what the kernel can do.
public struct KernelRelease: Sendable, Comparable, CustomStringConvertible {
    public let major: Int
    public let minor: Int

    public init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// Reads `6.1.0-18-amd64`; nil without two leading numbers.
    public init?(_ release: String) {
        let parts = release.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
        guard parts.count == 2, release.first?.isNumber == true else { return nil }
        self.init(parts[0], parts[1])
    }

    /// The oldest that Sluice runs on.
    public static let oldest = KernelRelease(5, 13)

    /// The running one.
    public static let running: KernelRelease = {
        var names = utsname()
        uname(&names)
        let release = withUnsafeBytes(of: names.release) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return KernelRelease(release) ?? oldest
    }()

    public static func < (a: Self, b: Self) -> Bool { (a.major, a.minor) < (b.major, b.minor) }

    public var description: String { "\(major).\(minor)" }
}
