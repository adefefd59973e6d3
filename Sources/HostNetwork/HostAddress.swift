public import IPAddressing

/// One address of this host, as rtnetlink(7) tells it (`struct ifaddrmsg`).
public struct HostAddress: Sendable, Hashable {
    /// How far an address is meant to reach (`ifa_scope`, rtnetlink(7)); the raw value is the kernel's.
    public struct Scope: RawRepresentable, Sendable, Hashable {
        public let rawValue: UInt8

        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// RT_SCOPE_UNIVERSE: everywhere; unique local IPv6 addresses too.
        public static let global = Scope(rawValue: 0)
        /// RT_SCOPE_SITE
        public static let site = Scope(rawValue: 200)
        /// RT_SCOPE_LINK: on the attached network alone.
        public static let link = Scope(rawValue: 253)
        /// RT_SCOPE_HOST: inside this host alone.
        public static let host = Scope(rawValue: 254)
    }

    /// The host's own address, of a point-to-point link too (IFA_LOCAL).
    public var address: IPAddress
    /// Bits of the attached network's prefix: 0 to 32, or 0 to 128.
    public var prefixLength: Int
    /// The interface's number in the network namespace, from 1.
    public var interfaceIndex: UInt32
    /// The interface's name, such as `eth0`.
    public var interfaceName: String
    public var scope: Scope
    /// True while duplicate address detection hasn't passed, or when it has failed: nothing is received on it
    /// (RFC 4862, section 5.4).
    public var isTentative: Bool
    /// True once the preferred lifetime is over: no new connection starts from it, others still reach it
    /// (RFC 4862, section 5.5.4).
    public var isDeprecated: Bool

    public init(
        address: IPAddress, prefixLength: Int, interfaceIndex: UInt32, interfaceName: String,
        scope: Scope = .global, isTentative: Bool = false, isDeprecated: Bool = false
    ) {
        self.address = address
        self.prefixLength = prefixLength
        self.interfaceIndex = interfaceIndex
        self.interfaceName = interfaceName
        self.scope = scope
        self.isTentative = isTentative
        self.isDeprecated = isDeprecated
    }
}
