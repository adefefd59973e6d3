import FakeKernel
import KubernetesAPI
import Manifests
import Testing

/// Two nodes that see the same manifests change, one among few other Services and one among many.
///
/// Each step has to cost the same in both, and to lead to the rules that a fresh compile makes of the same objects.
struct Walk {
    private var nodes: [CompiledNode]
    /// More than any change of one or two Services takes.
    private static let mostMessages = 40

    init() {
        nodes = [Neighbours.few, Neighbours.more].map {
            CompiledNode(Neighbours.objects($0), mode: .nodeCIDR)
        }
    }

    /// What one step did, as far as it is the same in both nodes.
    struct Cost: Equatable {
        var operations: Int
        /// Netlink messages, those that begin and end the batch among them.
        var messages: Int
    }

    /// Takes manifests that came or changed and objects that are gone, as one change, and looks at what follows.
    @discardableResult
    mutating func step(
        _ manifests: String..., removing gone: [ClusterObject.Key] = [], removingFirst: Bool = false,
        _ location: SourceLocation = #_sourceLocation, expect: (inout CompiledNode) -> Void = { _ in }
    ) -> Cost {
        let parsed = ManifestParser.parse(manifests.joined(separator: "\n---\n"), source: "cluster.yaml")
        #expect(parsed.problems.map(\.description) == [], sourceLocation: location)
        for index in nodes.indices {
            nodes[index].change(parsed.objects, removing: gone, isRemovalFirst: removingFirst)
            #expect(nodes[index].isInStep, sourceLocation: location)
            #expect(nodes[index].differenceToFresh.isEmpty, sourceLocation: location)
            expect(&nodes[index])
        }
        let costs = nodes.map {
            Cost(operations: $0.operations.count, messages: FakeNFTables.messageCount($0.operations))
        }
        #expect(costs[0] == costs[1], "the cost depends on the neighbours", sourceLocation: location)
        #expect(costs[0].messages <= Self.mostMessages, sourceLocation: location)
        return costs[0]
    }
}

/// Manifests in as few words as a test needs.
enum Text {
    /// `default/<name>`; `spec` and `status` in YAML's flow style.
    static func service(_ name: String = "web", _ spec: String, status: String = "", created: Int? = nil)
        -> String
    {
        let time = created.map { ", creationTimestamp: '2024-01-01T00:00:\($0 < 10 ? "0" : "")\($0)Z'" }
        return """
            apiVersion: v1
            kind: Service
            metadata: {name: \(name), namespace: default\(time ?? "")}
            spec: {\(spec)}
            status: {\(status)}
            """
    }

    /// The slice `default/<service>-<family>`; endpoints are on no node that it names.
    static func slice(
        _ service: String = "web", _ addresses: String..., ports: String = "[{port: 8080}]",
        family: Int = 4
    ) -> String {
        """
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          name: \(service)-\(family)
          namespace: default
          labels: {kubernetes.io/service-name: \(service)}
        addressType: IPv\(family)
        endpoints: [\(addresses.map { "{addresses: ['\($0)']}" }.joined(separator: ", "))]
        ports: \(ports)
        """
    }
}
