/// A 32-bit data register of the nf_tables machine, 0 to 15 (`NFT_REG32_00` … `NFT_REG32_15`).
///
/// Registers 0, 4, 8 and 12 are where the 128-bit registers `NFT_REG_1` to `NFT_REG_4` begin.
public struct Register: Sendable, Hashable, ExpressibleByIntegerLiteral {
    public let index: Int

    public init(_ index: Int) {
        precondition((0..<16).contains(index), "nf_tables has 16 registers of 32 bits")
        self.index = index
    }

    public init(integerLiteral value: Int) { self.init(value) }
}

/// Where a rule goes on (`NFT_*` and `NF_*` verdicts).
public enum Verdict: Sendable, Hashable {
    case accept
    case drop
    case `continue`
    case `return`
    /// Evaluates the chain and comes back.
    case jump(String)
    /// Evaluates the chain and goes on after the last `jump`, or at the base chain's policy.
    case goto(String)

    /// The chain of a jump or goto.
    public var target: String? {
        switch self {
        case .jump(let chain), .goto(let chain): chain
        default: nil
        }
    }
}

/// One instruction of a rule, as the kernel runs it (linux/netfilter/nf_tables.h).
///
/// A rule is a list of these; each reads and writes registers, and an instruction that doesn't match ends the
/// rule. The same value is encoded for netlink, printed as nft text, compared, and run by a simulator.
public enum Expression: Sendable, Hashable {
    public enum MetaKey: UInt32, Sendable, Hashable {
        case length = 0
        case protocolNumber = 1
        case mark = 3
        case inputInterface = 4
        case outputInterface = 5
        case inputInterfaceName = 6
        case outputInterfaceName = 7
        case nfproto = 15
        case l4proto = 16
    }

    public enum PayloadBase: UInt32, Sendable, Hashable {
        case link = 0
        case network = 1
        case transport = 2
    }

    public enum ConntrackKey: UInt32, Sendable, Hashable {
        case state = 0
        case direction = 1
        case status = 2
        case mark = 3
        case l3protocol = 7
        case sourceAddress = 8
        case destinationAddress = 9
        case protocolNumber = 10
        case sourcePort = 11
        case destinationPort = 12
        case sourceAddress4 = 19
        case destinationAddress4 = 20
        case sourceAddress6 = 21
        case destinationAddress6 = 22
    }

    /// Which of a connection's two tuples a conntrack expression reads (`IP_CT_DIR_*`).
    public enum Direction: UInt8, Sendable, Hashable {
        case original = 0
        case reply = 1
    }

    public enum Comparison: UInt32, Sendable, Hashable {
        case equal = 0
        case notEqual = 1
        case less = 2
        case lessOrEqual = 3
        case greater = 4
        case greaterOrEqual = 5
    }

    /// What a lookup does with what it finds.
    public enum LookupTarget: Sendable, Hashable {
        /// A set: go on when the key is in it.
        case membership
        /// A set: go on when the key isn't in it.
        case absence
        /// A map: write its data from this register on; end the rule when the key isn't in it.
        case data(Register)
        /// A verdict map: take its verdict; end the rule when the key isn't in it.
        case verdict
    }

    public enum NumgenKind: UInt32, Sendable, Hashable {
        case incremental = 0
        case random = 1
    }

    public enum NATKind: UInt32, Sendable, Hashable {
        case source = 0
        case destination = 1
    }

    /// `NF_NAT_RANGE_*`, without the bits the kernel derives from the operands.
    public struct NATFlags: OptionSet, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let random = NATFlags(rawValue: 1 << 2)
        public static let persistent = NATFlags(rawValue: 1 << 3)
        public static let fullyRandom = NATFlags(rawValue: 1 << 4)
    }

    public enum Rejection: Sendable, Hashable {
        /// ICMP or ICMPv6 unreachable of the table's family with this code.
        case unreachable(code: UInt8)
        /// A TCP RST.
        case tcpReset
    }

    public enum DynamicOperation: UInt32, Sendable, Hashable {
        /// Add when absent.
        case add = 0
        /// Add when absent, else start the timeout again.
        case update = 1
        case delete = 2
    }

    /// What a fib lookup tells (`NFT_FIB_RESULT_*`).
    public enum FIBResult: UInt32, Sendable, Hashable {
        case outputInterface = 1
        case outputInterfaceName = 2
        case addressType = 3
    }

    /// `NFTA_FIB_F_*`.
    public struct FIBFlags: OptionSet, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let saddr = FIBFlags(rawValue: 1 << 0)
        public static let daddr = FIBFlags(rawValue: 1 << 1)
        public static let mark = FIBFlags(rawValue: 1 << 2)
        public static let iif = FIBFlags(rawValue: 1 << 3)
        public static let oif = FIBFlags(rawValue: 1 << 4)
    }

    /// Loads packet metadata.
    case meta(MetaKey, into: Register)
    /// Writes packet metadata (`meta mark set …`).
    case setMeta(MetaKey, from: Register)
    /// Loads `length` bytes of the packet from `offset` bytes into a header.
    case payload(PayloadBase, offset: UInt32, length: UInt32, into: Register)
    /// Loads a property of the packet's connection.
    case conntrack(ConntrackKey, direction: Direction?, into: Register)
    /// Asks the routing tables.
    case fib(FIBResult, FIBFlags, into: Register)
    /// Goes on when the register's bytes compare so with the value (byte-wise, as in network byte order).
    case compare(Register, Comparison, RegisterValue)
    /// `into = (from & mask) ^ xor`
    case bitwise(from: Register, into: Register, mask: RegisterValue, xor: RegisterValue)
    /// Looks `key` (as many bytes as the set's key has) up in the named set or map.
    case lookup(set: String, key: Register, LookupTarget)
    /// Loads a constant.
    case immediate(RegisterValue, into: Register)
    case verdict(Verdict)
    /// `offset` + a counter or random number modulo `modulus`, in host byte order.
    case numgen(NumgenKind, modulus: UInt32, offset: UInt32, into: Register)
    /// Rewrites the source or destination. The registers hold address and port in network byte order.
    case nat(NATKind, Family, address: Register?, port: Register?, flags: NATFlags)
    /// Rewrites the source to the outgoing interface's address.
    case masquerade(flags: NATFlags)
    case reject(Rejection)
    /// Changes the named dynamic set from the packet path. `timeout` in milliseconds; nil: the set's own.
    case dynamicSet(DynamicOperation, set: String, key: Register, data: Register?, timeout: UInt64?)
    /// Counts packets and bytes (the counts themselves are state, not part of the rule).
    case counter
    /// Something read from the kernel that this library has no value for, by the kernel's name for it.
    case unsupported(String)

    /// The named set that this expression binds.
    public var boundSet: String? {
        switch self {
        case .lookup(let set, _, _), .dynamicSet(_, let set, _, _, _): set
        default: nil
        }
    }
}
