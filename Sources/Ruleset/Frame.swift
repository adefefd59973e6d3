import IPAddressing
import NFTables

/// What is in a table whatever the cluster holds: base chains, the chains they share, and the maps they ask.
///
/// All hooks are of type nat, so packets of established connections meet none of this.
struct Frame {
    let family: AddressFamily

    private var nft: Family { family.nft }
    private var address: Datatype { family.datatype }

    /// `ip daddr . meta l4proto . th dport`, of one virtual address and port.
    var virtualPort: Shape { Shape(address, .internetProtocol, .internetService) }

    /// An endpoint: `ip daddr . th dport`.
    var target: Shape { Shape(address, .internetService) }

    /// The sets and maps, in the order they are made.
    var sets: [NamedSet] {
        [
            NamedSet(ObjectNames.protocols, key: Shape(.internetProtocol)),
            NamedSet(ObjectNames.direct, key: virtualPort, data: .value(target)),
            NamedSet(ObjectNames.services, key: virtualPort, data: .verdict),
            NamedSet(ObjectNames.affinity, key: virtualPort, data: .verdict),
            NamedSet(ObjectNames.hairpin, key: Shape(address, address)),
            NamedSet(ObjectNames.clusterIPs, key: Shape(address)),
            NamedSet(ObjectNames.serviceNetworks, key: Shape(address), flags: .interval),
        ]
    }

    /// The elements that never change.
    var elements: [String: [Element]] {
        [ObjectNames.protocols: TransportProtocol.allCases.map { Element(RegisterValue([$0.rawValue])) }]
    }

    /// A map of endpoints by slot number.
    ///
    /// nft can't declare a map keyed by a plain integer but by what yields one, whence `typeof`.
    func slots(_ map: Int) -> NamedSet {
        let daddr: SelectorExpression = family == .ipv4 ? .ipDaddr : .ip6Daddr
        return NamedSet(
            ObjectNames.slots(map), key: Shape(typeof: .numgenIncremental(modulus: 2)),
            data: .value(Shape(typeof: daddr, .thDport)))
    }

    /// The endpoint address that each client of a pool keeps, for the endpoints of one port.
    ///
    /// The data is the address alone: nft 1.0.6 aborts on an update from the packet path whose data is longer than
    /// 16 bytes. The size bounds what clients can make the kernel keep. The kernel takes its lower 16 bits as a hint
    /// for the first hash table (rhashtable's `nelem_hint` is a u16), so a multiple of 65,536 starts small.
    func affinity(_ name: String) -> NamedSet {
        NamedSet(
            name, key: Shape(address), data: .value(Shape(address)), flags: [.timeout, .dynamic],
            size: Self.affinityClients)
    }

    static let affinityClients: UInt32 = 1 << 18

    /// The chains with their rules, in an order in which each is made before it is jumped to.
    var chains: [Chain] {
        let key = [Term.daddr(nft), .l4proto, .thDport]
        let original = [Term.ctOriginalDaddr(nft), .ctProtocol, .ctOriginalProtoDst]
        return [
            Chain(
                ObjectNames.refuse,
                rules: [
                    Rule([.l4proto(.tcp), .rejectTCPReset]),
                    Rule([.rejectPortUnreachable(nft)]),
                ]),
            Chain(
                ObjectNames.dispatch,
                rules: [
                    Rule([
                        .member(.l4proto, of: ObjectNames.protocols),
                        .dnat(nft, addressAndPortFrom: ObjectNames.direct, key: key),
                    ]),
                    Rule([.verdictMap(key, in: ObjectNames.services)]),
                    Rule([.member(.daddr(nft), of: ObjectNames.clusterIPs), .goto(ObjectNames.refuse)]),
                    Rule([.member(.daddr(nft), of: ObjectNames.serviceNetworks), .drop]),
                ]),
            // nft knows the width of `ct original proto-dst` only where the protocol is told, so one rule for each.
            Chain(
                ObjectNames.remember,
                rules: TransportProtocol.allCases.map { transport in
                    Rule([
                        .ctProtocol(InternetProtocol(rawValue: transport.rawValue)),
                        .verdictMap(original, in: ObjectNames.affinity),
                    ])
                }),
            Chain(
                ObjectNames.prerouting, base: BaseChain(.nat, hook: .prerouting, priority: -100),
                rules: [Rule([.jump(ObjectNames.dispatch)])]),
            Chain(
                ObjectNames.output, base: BaseChain(.nat, hook: .output, priority: -100),
                rules: [Rule([.jump(ObjectNames.dispatch)])]),
            // An endpoint on the host network is reached through the input hook.
            Chain(
                ObjectNames.input, base: BaseChain(.nat, hook: .input, priority: 100),
                rules: [Rule([.ctStatusDNAT, .jump(ObjectNames.remember)])]),
            // One ahead of srcnat: a network plugin that masquerades there ends the walk for the hooks behind it,
            // and neither affinity nor hairpin may depend on which of the two was made first.
            Chain(
                ObjectNames.postrouting, base: BaseChain(.nat, hook: .postrouting, priority: 99),
                rules: [
                    Rule([.ctStatusDNAT, .jump(ObjectNames.remember)]),
                    Rule([
                        .ctStatusDNAT, .member([.saddr(nft), .daddr(nft)], of: ObjectNames.hairpin),
                        .masquerade,
                    ]),
                ]),
        ]
    }
}
