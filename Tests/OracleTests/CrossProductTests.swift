import IPAddressing
import KubernetesAPI
import Oracle
import Testing

@Suite("Rules and oracle")
struct CrossProductTests {
    struct Setting: Sendable, CustomTestStringConvertible {
        var mode: LocalModeCase
        var masqueradeAll: Bool
        var testDescription: String { "\(mode)\(masqueradeAll ? ", masqueradeAll" : "")" }

        /// What differs from other settings in few places is looked at in those and some more, to save time.
        private var isBrief: Bool { masqueradeAll || mode == .interfaceNamePrefix }

        var addressKinds: [AddressKind] {
            isBrief ? [.clusterIP, .loadBalancerIP, .nodePort] : AddressKind.allCases
        }

        func transports(_ family: AddressFamily) -> [TransportProtocol] {
            isBrief ? [family == .ipv4 ? .tcp : .udp] : [.tcp, .udp]
        }

        static let all = LocalModeCase.allCases.flatMap { mode in
            [false, true].map { Setting(mode: mode, masqueradeAll: $0) }
        }
    }

    @Test("every kind of packet meets the fate that the oracle tells")
    func crossProduct() async {
        let comparisons = await withTaskGroup(of: Comparison.self) { group in
            for setting in Setting.all { group.addTask { Self.compare(setting) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let disagreements = comparisons.flatMap(\.disagreements)
        for text in disagreements.prefix(20) { Issue.record("\(text)") }
        let cells = comparisons.reduce(0) { $0 + $1.cells }
        let connections = comparisons.reduce(0) { $0 + $1.connections }
        #expect(cells > 50_000)
        let differing = disagreements.isEmpty ? "" : ", with \(disagreements.count) disagreements"
        print(
            "\(cells) cells \(disagreements.isEmpty ? "agree" : "ran")\(differing); \(connections) connections"
        )
    }

    private static func compare(_ setting: Setting) -> Comparison {
        let variants = Variant.all
        let services = variants.map(\.service)
        let slices = variants.flatMap(\.slices)
        let node = CompiledNode(
            services.map { .service($0) } + slices.map { .endpointSlice($0) }, mode: setting.mode,
            masqueradeAll: setting.masqueradeAll)
        #expect(node.problems.isEmpty)
        let oracle = Oracle(
            services: services, slices: slices, serviceNetworks: Ground.services,
            proxy: Oracle.Proxy(
                node: Ground.clusterNode, localMode: setting.mode.oracle,
                masqueradeAll: setting.masqueradeAll,
                nodePortAddresses: Set(Ground.primaryAddresses)))
        var comparison = Comparison(node, oracle)
        for variant in variants { compare(variant, setting, &comparison) }
        unused(setting, &comparison)
        return comparison
    }

    private static func compare(_ variant: Variant, _ setting: Setting, _ comparison: inout Comparison) {
        for family in AddressFamily.allCases {
            for transport in setting.transports(family) {
                for kind in setting.addressKinds where isTelling(kind, variant) {
                    for source in SourceKind.allCases where kind != .nodePortAtLoopback || source == .host {
                        let cell = Cell(
                            source: source, transport: transport,
                            destination: kind.destination(variant, family))
                        comparison.run(
                            cell, service: variant.name,
                            label(setting, variant, kind, source, transport, family))
                    }
                    // Pods of other nodes that reach themselves have a test of their own: statement 17.
                    let own = variant.state.endpoints(family, hints: .none).map(\.address)
                    let client = own.first { address in Ground.podsHere.contains { $0.contains(address) } }
                    if let client {
                        let cell = Cell(
                            source: .podHere, client: client, transport: transport,
                            destination: kind.destination(variant, family))
                        comparison.run(
                            cell, service: variant.name,
                            "itself an endpoint: "
                                + label(setting, variant, kind, .podHere, transport, family))
                    }
                }
            }
        }
    }

    /// Source ranges are about load balancer addresses; the others only have to let them be.
    private static func isTelling(_ kind: AddressKind, _ variant: Variant) -> Bool {
        variant.ranges == .none || [.loadBalancerIP, .externalIP, .nodePort, .clusterIP].contains(kind)
    }

    private static func unused(_ setting: Setting, _ comparison: inout Comparison) {
        for family in AddressFamily.allCases {
            for source in SourceKind.allCases {
                for transport in [TransportProtocol.tcp, .udp] {
                    for address in [
                        Ground.address(65_000, in: Ground.services, family),
                        Ground.address(65_000, in: Ground.loadBalancers, family),
                        Ground.of(family, Ground.primaryAddresses),
                    ] {
                        let cell = Cell(
                            source: source, transport: transport, destination: AddressPort(address, 80))
                        comparison.run(
                            cell, service: ObjectName(namespace: "", name: ""), "\(setting): \(cell)")
                    }
                }
            }
        }
    }

    private static func label(
        _ setting: Setting, _ variant: Variant, _ kind: AddressKind, _ source: SourceKind,
        _ transport: TransportProtocol, _ family: AddressFamily
    ) -> String {
        let affinity = variant.hasAffinity ? ", affinity" : ""
        return """
            \(setting.testDescription): \(source) → \(kind) (\(transport), \(family)) of \(variant.name.name): \
            \(variant.state), hints \(variant.hints), internal \(variant.internalPolicy), \
            external \(variant.externalPolicy), ranges \(variant.ranges)\(affinity)
            """
    }
}
