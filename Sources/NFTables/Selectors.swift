/// Instructions with nft's own names for them.
extension Expression {
    public static func ipSaddr(into register: Register) -> Self {
        .payload(.network, offset: 12, length: 4, into: register)
    }
    public static func ipDaddr(into register: Register) -> Self {
        .payload(.network, offset: 16, length: 4, into: register)
    }
    public static func ip6Saddr(into register: Register) -> Self {
        .payload(.network, offset: 8, length: 16, into: register)
    }
    public static func ip6Daddr(into register: Register) -> Self {
        .payload(.network, offset: 24, length: 16, into: register)
    }
    /// The source address in the header of the family.
    public static func saddr(_ family: Family, into register: Register) -> Self {
        family == .ip6 ? .ip6Saddr(into: register) : .ipSaddr(into: register)
    }
    /// The destination address in the header of the family.
    public static func daddr(_ family: Family, into register: Register) -> Self {
        family == .ip6 ? .ip6Daddr(into: register) : .ipDaddr(into: register)
    }
    public static func thSport(into register: Register) -> Self {
        .payload(.transport, offset: 0, length: 2, into: register)
    }
    public static func thDport(into register: Register) -> Self {
        .payload(.transport, offset: 2, length: 2, into: register)
    }
    public static func l4proto(into register: Register) -> Self { .meta(.l4proto, into: register) }
}
