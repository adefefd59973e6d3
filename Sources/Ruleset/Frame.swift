import IPAddressing
import NFTables

/// What is in a table whatever Services there are: base chains, the chains they share, and the maps they ask.
///
/// All hooks are of type nat, so packets of established connections meet none of this.
struct Frame: Sendable {
    let family: AddressFamily
    let settings: RulesetSettings
    /// The networks of local pods in this family; without any, nothing is masqueraded for not coming from one.
    var localPods: [IPNetwork] = []

    private var nft: Family { family.nft }
    private var address: Datatype { family.datatype }

    /// `ip daddr . meta l4proto . th dport`, of one virtual address and port.
    private var virtualPort: Shape { Shape(address, .internetProtocol, .internetService) }
    /// `meta l4proto . th dport`, of one node port.
    private var nodePort: Shape { Shape(.internetProtocol, .internetService) }
    /// An endpoint: `ip daddr . th dport`.
    private var target: Shape { Shape(address, .internetService) }

    // MARK: Sets

    /// The sets and maps, in the order they are made.
    var sets: [NamedSet] {
        [
            NamedSet(ObjectNames.protocols, key: Shape(.internetProtocol)),
            NamedSet(ObjectNames.direct, key: virtualPort, data: .value(target)),
            NamedSet(ObjectNames.services, key: virtualPort, data: .verdict),
            NamedSet(ObjectNames.nodePorts, key: nodePort, data: .verdict),
            NamedSet(ObjectNames.affinity, key: virtualPort, data: .verdict),
            NamedSet(ObjectNames.affinityNodePorts, key: nodePort, data: .verdict),
            NamedSet(ObjectNames.masquerade, key: virtualPort, data: .verdict),
            NamedSet(ObjectNames.masqueradeNodePorts, key: nodePort, data: .verdict),
            NamedSet(ObjectNames.affinityAddresses, key: Shape(address)),
            NamedSet(ObjectNames.externalAddresses, key: Shape(address)),
            NamedSet(ObjectNames.hairpin, key: Shape(address, address)),
            NamedSet(ObjectNames.clusterIPs, key: Shape(address)),
            NamedSet(ObjectNames.nodeAddresses, key: Shape(address)),
            networks(ObjectNames.localPods),
            networks(ObjectNames.serviceNetworks),
        ]
    }

    /// The elements that never change.
    var elements: [String: [Element]] {
        [ObjectNames.protocols: TransportProtocol.allCases.map { Element(RegisterValue([$0.rawValue])) }]
    }

    /// A set of networks.
    func networks(_ name: String) -> NamedSet { NamedSet(name, key: Shape(address), flags: .interval) }

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

    // MARK: Chains

    /// `ip saddr @local-pods` or `iifname "cni0"`; nil where there is no telling.
    var fromLocalPod: Statement? {
        switch settings.localDetection {
        case nil: nil
        case .networks: .member(.saddr(nft), of: ObjectNames.localPods)
        case .interface(let name): .match(.meta(.inputInterfaceName), .equal, .value(Self.padded(name)))
        case .interfacePrefix(let prefix):
            .match(.meta(.inputInterfaceName), .equal, .beginning(RegisterValue(Array(prefix.utf8))))
        }
    }

    /// Where local pods are told by their interface, the packets that are not theirs are marked while it is known.
    private var markForeign: Rule? {
        // Nothing reads the mark then, nor takes it off the packet, which may carry it to another node.
        guard !settings.masqueradeAll else { return nil }
        let foreign: Statement
        switch settings.localDetection {
        case nil, .networks: return nil
        case .interface(let name):
            foreign = .match(.meta(.inputInterfaceName), .notEqual, .value(Self.padded(name)))
        case .interfacePrefix(let prefix):
            foreign = .match(
                .meta(.inputInterfaceName), .notEqual, .beginning(RegisterValue(Array(prefix.utf8))))
        }
        let bit = settings.masqueradeMark
        return Rule([
            .member(.daddr(nft), of: ObjectNames.clusterIPs), foreign,
            .setMeta(
                .mark, .bitwise(.meta(.mark), mask: RegisterValue(host: ~bit), xor: RegisterValue(host: bit))),
        ])
    }

    /// Masquerading for the sake of cluster IPs: statement 14.
    private var clusterIPMasquerade: Rule? {
        let toClusterIP = Statement.member(.ctOriginalDaddr(nft), of: ObjectNames.clusterIPs)
        if settings.masqueradeAll { return Rule([toClusterIP, .masqueradeRandom]) }
        switch settings.localDetection {
        case nil: return nil
        case .networks:
            // Asked first: most connections are those of local pods.
            guard let fromElsewhere else { return nil }
            return Rule([fromElsewhere, toClusterIP, .masqueradeRandom])
        case .interface, .interfacePrefix:
            let bit = settings.masqueradeMark
            return Rule([
                .match(.meta(.mark), .equal, .flags(RegisterValue(host: bit))),
                .setMeta(
                    .mark,
                    .bitwise(.meta(.mark), mask: RegisterValue(host: ~bit), xor: RegisterValue(host: 0))),
                .masqueradeRandom,
            ])
        }
    }

    /// `ip saddr != 10.244.1.0/24`, which is less work than asking a set; nil where no network is known.
    private var fromElsewhere: Statement? {
        guard let only = localPods.first else { return nil }
        guard localPods.count == 1, only.prefixLength > 0 else {
            return .member(.saddr(nft), of: ObjectNames.localPods, isMember: false)
        }
        return .match(.saddr(nft), .notEqual, .prefix(RegisterValue(only.address), bits: only.prefixLength))
    }

    private static func padded(_ name: String) -> RegisterValue {
        let bytes = Array(name.utf8.prefix(16))
        return RegisterValue(bytes + Array(repeating: 0, count: 16 - bytes.count))
    }

    /// Verdict maps asked with what the connection was addressed to, before it was translated.
    ///
    /// nft knows the width of `ct original proto-dst` only where the protocol is told, so one rule for each.
    private func askOriginal(_ map: String, nodePorts: String) -> [Rule] {
        let numbers = TransportProtocol.allCases.map {
            Statement.ctProtocol(InternetProtocol(rawValue: $0.rawValue))
        }
        return numbers.map {
            Rule([$0, .verdictMap([.ctOriginalDaddr(nft), .ctProtocol, .ctOriginalProtoDst], in: map)])
        }
            + numbers.map {
                Rule([
                    $0, .member(.ctOriginalDaddr(nft), of: ObjectNames.nodeAddresses),
                    .verdictMap([.ctProtocol, .ctOriginalProtoDst], in: nodePorts),
                ])
            }
    }

    /// The chains with their rules, in an order in which each is made before it is jumped to.
    var chains: [Chain] {
        [refuse, translate, translateHost, dispatch, remember, source, translated] + baseChains
    }

    private var refuse: Chain {
        Chain(
            ObjectNames.refuse,
            rules: [Rule([.l4proto(.tcp), .rejectTCPReset]), Rule([.rejectPortUnreachable(nft)])])
    }

    private var translate: Chain { Chain(ObjectNames.translate, rules: [Rule([.masqueradeRandom])]) }

    private var translateHost: Chain {
        Chain(ObjectNames.translateHost, rules: [Rule([.sourceIsLocal, .masqueradeRandom])])
    }

    private var dispatch: Chain {
        let key = [Term.daddr(nft), .l4proto, .thDport]
        // What a pool costs beside a single endpoint, it saves by being asked for first: both take the same time.
        var rules = [
            Rule([.verdictMap(key, in: ObjectNames.services)]),
            Rule([
                .member(.l4proto, of: ObjectNames.protocols),
                .dnat(nft, addressAndPortFrom: ObjectNames.direct, key: key),
            ]),
            Rule([
                .member(.daddr(nft), of: ObjectNames.nodeAddresses),
                .verdictMap([.l4proto, .thDport], in: ObjectNames.nodePorts),
            ]),
            Rule([.member(.daddr(nft), of: ObjectNames.clusterIPs), .goto(ObjectNames.refuse)]),
            Rule([.member(.daddr(nft), of: ObjectNames.serviceNetworks), .drop]),
        ]
        if let markForeign { rules.insert(markForeign, at: 0) }
        return Chain(ObjectNames.dispatch, rules: rules)
    }

    private var remember: Chain {
        Chain(
            ObjectNames.remember,
            rules: askOriginal(ObjectNames.affinity, nodePorts: ObjectNames.affinityNodePorts))
    }

    /// Whose address becomes the node's, of those who used an external address or a node port.
    private var source: Chain {
        Chain(
            ObjectNames.source,
            rules: askOriginal(ObjectNames.masquerade, nodePorts: ObjectNames.masqueradeNodePorts))
    }

    /// What is left to do for a new connection once it is translated. What few need, few are asked for: most are to
    /// cluster IPs without affinity.
    private var translated: Chain {
        let hairpin = Rule([.member([.saddr(nft), .daddr(nft)], of: ObjectNames.hairpin), .masquerade])
        let external = Rule([
            .member(.ctOriginalDaddr(nft), of: ObjectNames.externalAddresses), .goto(ObjectNames.source),
        ])
        return Chain(
            ObjectNames.translated,
            rules: [Rule([hasAffinity, .jump(ObjectNames.remember)]), hairpin]
                + (clusterIPMasquerade.map { [$0] } ?? []) + [external])
    }

    private var hasAffinity: Statement {
        .member(.ctOriginalDaddr(nft), of: ObjectNames.affinityAddresses)
    }

    private var baseChains: [Chain] {
        [
            Chain(
                ObjectNames.prerouting, base: BaseChain(.nat, hook: .prerouting, priority: -100),
                rules: [Rule([.jump(ObjectNames.dispatch)])]),
            Chain(
                ObjectNames.output, base: BaseChain(.nat, hook: .output, priority: -100),
                rules: [Rule([.jump(ObjectNames.dispatch)])]),
            // An endpoint on the host network is reached through the input hook.
            Chain(
                ObjectNames.input, base: BaseChain(.nat, hook: .input, priority: 100),
                rules: [Rule([.ctStatusDNAT, hasAffinity, .jump(ObjectNames.remember)])]),
            // One ahead of srcnat: a network plugin that masquerades there ends the walk for the hooks behind it,
            // and neither affinity nor hairpin may depend on which of the two was made first.
            Chain(
                ObjectNames.postrouting, base: BaseChain(.nat, hook: .postrouting, priority: 99),
                rules: [Rule([.ctStatusDNAT, .jump(ObjectNames.translated)])]),
        ]
    }
}

extension Statement {
    /// `fib saddr type local`: the source is an address of this host (`RTN_LOCAL`).
    static var sourceIsLocal: Statement {
        .match(.fib(.addressType, .saddr), .equal, .value(RegisterValue(host: 2)))
    }

    /// With a random port: two clients that take the same port at the same moment don't collide
    /// (`NF_NAT_RANGE_PROTO_RANDOM_FULLY`).
    static var masqueradeRandom: Statement { .masquerade(flags: .fullyRandom) }
}
