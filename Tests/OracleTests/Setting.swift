import IPAddressing
import KubernetesAPI
import Oracle
import Testing

/// How the node's proxy is set, for which there is a cross product of cells.
struct Setting: Sendable, CustomTestStringConvertible {
    var mode: LocalModeCase
    var masqueradeAll: Bool
    var testDescription: String { "\(mode)\(masqueradeAll ? ", masqueradeAll" : "")" }

    static let all = LocalModeCase.allCases.flatMap { mode in
        [false, true].map { Setting(mode: mode, masqueradeAll: $0) }
    }

    /// All Services and slices of the cross product.
    static let objects: [ClusterObject] =
        Variant.all.map { .service($0.service) } + Variant.all.flatMap(\.slices).map { .endpointSlice($0) }

    var oracle: Oracle {
        Oracle(
            services: Variant.all.map(\.service), slices: Variant.all.flatMap(\.slices),
            serviceNetworks: Ground.services,
            proxy: Oracle.Proxy(
                node: Ground.clusterNode, localMode: mode.oracle, masqueradeAll: masqueradeAll,
                nodePortAddresses: Set(Ground.primaryAddresses)))
    }

    /// What differs from other settings in few places is looked at in those and some more, to save time.
    private var isBrief: Bool { masqueradeAll || mode == .interfaceNamePrefix }

    private var addressKinds: [AddressKind] {
        isBrief ? [.clusterIP, .loadBalancerIP, .nodePort] : AddressKind.allCases
    }

    private func transports(_ family: AddressFamily) -> [TransportProtocol] {
        isBrief ? [family == .ipv4 ? .tcp : .udp] : [.tcp, .udp]
    }

    /// Every cell.
    var cells: [Cell] { Variant.all.flatMap(cells) + unused }

    private func cells(_ variant: Variant) -> [Cell] {
        AddressFamily.allCases.flatMap { family -> [Cell] in
            // Pods of other nodes that reach themselves have a test of their own: statement 17.
            let own = variant.state.endpoints(family, hints: .none).map(\.address).first { address in
                Ground.podsHere.contains { $0.contains(address) }
            }
            return addressKinds.filter { Self.isTelling($0, variant) }.flatMap { kind -> [Cell] in
                let destination = kind.destination(variant, family)
                return transports(family).flatMap { transport -> [Cell] in
                    func cell(_ source: SourceKind, _ client: IPAddress? = nil) -> Cell {
                        Cell(
                            source: source, client: client, transport: transport, destination: destination,
                            variant: variant, kind: kind)
                    }
                    // Loopback is everybody's own.
                    if kind == .nodePortAtLoopback { return [cell(.host)] }
                    return SourceKind.allCases.map { cell($0) } + (own.map { [cell(.podHere, $0)] } ?? [])
                }
            }
        }
    }

    /// Source ranges are about load balancer addresses; the others only have to let them be.
    private static func isTelling(_ kind: AddressKind, _ variant: Variant) -> Bool {
        variant.ranges == .none || [.loadBalancerIP, .externalIP, .nodePort, .clusterIP].contains(kind)
    }

    /// Addresses of nobody.
    private var unused: [Cell] {
        AddressFamily.allCases.flatMap { family -> [Cell] in
            let addresses = [
                Ground.address(65_000, in: Ground.services, family),
                Ground.address(65_000, in: Ground.loadBalancers, family),
                Ground.of(family, Ground.primaryAddresses),
            ]
            return SourceKind.allCases.flatMap { source in
                [TransportProtocol.tcp, .udp].flatMap { transport in
                    addresses.map {
                        Cell(source: source, transport: transport, destination: AddressPort($0, 80))
                    }
                }
            }
        }
    }
}
