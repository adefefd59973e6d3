import IPAddressing
import KubernetesAPI
import TestAPIServer

/// Objects of which no two versions are the same: each says its number in a port or network.
enum SmallCluster {
    static func serviceName(_ index: Int) -> ObjectName {
        ObjectName(namespace: "ns-\(index % 3)", name: "service-\(index)")
    }

    static func service(_ index: Int, number: Int) -> Service {
        Service(
            name: serviceName(index), kind: index % 4 == 3 ? .loadBalancer : .clusterIP,
            created: 1_700_000_000 + Int64(index),
            clusterIPs: [IPAddress(ipv4: 0x0a60_0001 + UInt32(index))],
            ports: [
                .init(name: "http", port: port(number), nodePort: index % 4 == 3 ? 30_000 : nil),
                .init(name: "dns", transport: .udp, port: 53),
            ],
            affinityTimeout: index % 5 == 4 ? 600 : nil,
            externalTrafficPolicy: index % 8 == 3 ? .local : .cluster,
            loadBalancerIPs: index % 4 == 3 ? [IPAddress(ipv4: 0xc000_0201)] : [],
            healthCheckNodePort: index % 8 == 3 ? 31_000 : nil)
    }

    static func slice(_ index: Int, number: Int, endpoints: Int = 3) -> EndpointSlice {
        let service = serviceName(index)
        let isIPv6 = index % 4 == 2
        return EndpointSlice(
            name: ObjectName(namespace: service.namespace, name: "\(service.name)-x\(index)"),
            service: service,
            family: isIPv6 ? .ipv6 : .ipv4,
            endpoints: (0..<endpoints).map { position in
                EndpointSlice.Endpoint(
                    address: isIPv6
                        ? IPAddress(high: 0xfd00_0010 << 32, low: UInt64(number * 8 + position))
                        : IPAddress(ipv4: 0x0ac8_0000 + UInt32(number * 8 + position)),
                    isReady: position != 1, isTerminating: position == 1,
                    nodeName: position == 2 ? nil : "node-\(position + 1)",
                    zoneHints: position == 0 ? ["zone-a", "zone-b"] : [])
            },
            ports: [.init(name: "http", port: port(number)), .init(name: "dns", transport: .udp, port: 53)])
    }

    static func node(_ name: String, number: Int) -> Node {
        Node(
            name: name, zone: "zone-a",
            podCIDRs: [IPNetwork(IPAddress(ipv4: 0x0a00_0000 + UInt32(number) << 8), prefixLength: 24)]
                .compactMap { $0 },
            addresses: [IPAddress(ipv4: 0xc0a8_0001)])
    }

    static func block(_ index: Int, number: Int) -> ServiceCIDR {
        ServiceCIDR(
            name: "block-\(index)",
            networks: [IPNetwork(IPAddress(ipv4: 0x0a00_0000 + UInt32(number) << 8), prefixLength: 24)]
                .compactMap { $0 })
    }

    private static func port(_ number: Int) -> UInt16 { UInt16(1_000 + number % 60_000) }

    /// Eight Services with a slice each, this node and another, and a ServiceCIDR; one of each kind has fields that no
    /// client knows.
    static func fill(_ store: ObjectStore) {
        for index in 0..<8 {
            var service = APIObject(self.service(index, number: index))
            var slice = APIObject(self.slice(index, number: index))
            service.hasUnknownFields = index == 1
            slice.hasUnknownFields = index == 2
            store.put(service)
            store.put(slice)
        }
        var node = APIObject(self.node("node-1", number: 1))
        node.hasUnknownFields = true
        node.taints = [.init(key: "node.kubernetes.io/unreachable", effect: "NoExecute")]
        store.put(node)
        store.put(APIObject(self.node("node-2", number: 2)))
        var block = APIObject(self.block(0, number: 96))
        block.hasUnknownFields = true
        store.put(block)
    }
}
