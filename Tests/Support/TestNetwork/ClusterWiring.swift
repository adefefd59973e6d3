import IPAddressing

/// Joins the namespaces of a `TestCluster`: links, addresses, routes.
struct ClusterWiring {
    let plan: ClusterPlan
    let outside: Namespace
    let nodes: [TestCluster.Host]
    let pods: [TestCluster.Host]

    // Link addresses are given out here and all neighbour entries are written beforehand. Who asks has to be answered
    // by a kernel that joins the multicast group of a new IPv6 address some time later, in a work queue; on a busy
    // machine three questions in three seconds have gone by unanswered, and a datagram that waited was dropped.

    /// Calico's: the same on every node end.
    private let nodeEndMAC = "ee:ee:ee:ee:ee:ee"
    /// A routed pod's: it has a link of its own, so all can be alike.
    private let routedPodMAC = "02:00:00:00:00:01"
    private let outsideMAC = "02:00:00:00:01:fe"
    private func nodeMAC(_ node: Int) -> String { Self.mac(0x01, node) }
    private func bridgeMAC(_ node: Int) -> String { Self.mac(0x02, node) }
    private func bridgedPodMAC(_ pod: Int) -> String { Self.mac(0x03, pod) }

    private static func mac(_ kind: Int, _ number: Int) -> String {
        let digits = [kind, number].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        return "02:00:00:00:" + digits.joined(separator: ":")
    }

    private static func neighbours(_ addresses: [IPAddress], _ mac: String, on link: String) -> [String] {
        addresses.map { "neigh add \($0) lladdr \(mac) dev \(link) nud permanent" }
    }

    /// What a routed pod takes for its gateway; no node has the address, the neighbour entry stands for it.
    private func gateway(_ family: AddressFamily) -> String { family == .ipv4 ? "169.254.1.1" : "fe80::1" }

    func build() throws {
        // Before there are links: each copies its settings from the namespace's defaults when it is made.
        for namespace in [outside] + nodes.map(\.namespace) + pods.map(\.namespace) {
            try namespace.setSysctls(Self.common)
        }
        for node in nodes {
            try node.namespace.setSysctls([
                "ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1", "ipv6/conf/default/forwarding": "1",
            ])
        }
        try connectNodes()
        for (index, node) in nodes.enumerated() {
            let mine = pods.filter { $0.node == node.name }
            switch plan.podNetwork {
            case .routed: try joinRouted(mine, to: node)
            case .bridged(let hairpin): try joinBridged(mine, to: node, number: index, hairpin: hairpin)
            }
        }
    }

    private static let common: KeyValuePairs = [
        // No duplicate address detection: it holds an address back for a second. No router is to be found.
        "ipv6/conf/all/accept_dad": "0", "ipv6/conf/default/accept_dad": "0",
        "ipv6/conf/all/accept_ra": "0", "ipv6/conf/default/accept_ra": "0",
        "ipv6/conf/default/router_solicitations": "0",
        // A hairpinned packet leaves by the link it came by: no redirects, no reverse path filter.
        "ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0",
        "ipv4/conf/all/send_redirects": "0", "ipv4/conf/default/send_redirects": "0",
        "ipv4/ip_forward": "0",
    ]

    /// The switch is a bridge in the outside host's namespace, whose own address is on the bridge.
    private func connectNodes() throws {
        let length = ClusterPlan.networkLength
        try outside.ip(["link add br0 address \(outsideMAC) type bridge forward_delay 0 mcast_snooping 0"])
        let outsideAddresses = plan.families.map(plan.outsideAddress)
        for (index, node) in nodes.enumerated() {
            try node.namespace.ip(
                [
                    "link add eth0 address \(nodeMAC(index)) type veth peer name port\(index) netns \(outside.name)",
                    "link set eth0 up",
                ]
                    + node.addresses.map {
                        "addr add \($0)/\(length($0.family)) dev eth0" + ($0.family == .ipv6 ? " nodad" : "")
                    }
                    + Self.neighbours(outsideAddresses, outsideMAC, on: "eth0")
                    + nodes.enumerated().filter { $0.offset != index }.flatMap {
                        Self.neighbours($0.element.addresses, nodeMAC($0.offset), on: "eth0")
                    }
                    + otherNodes(than: index)
                    // Without a default route the kernel turns a host's own connection to a virtual IP away
                    // before any rule sees it. The outside host forwards nothing, so it leads nowhere.
                    + plan.families.map { "route add default via \(plan.outsideAddress($0))" })
        }
        try outside.ip(
            nodes.indices.map { "link set port\($0) master br0 up" } + ["link set br0 up"]
                + nodes.enumerated().flatMap {
                    Self.neighbours($0.element.addresses, nodeMAC($0.offset), on: "br0")
                }
                + plan.families.flatMap { family in
                    let address = "\(plan.outsideAddress(family))/\(length(family))"
                    return [
                        "addr add \(address) dev br0" + (family == .ipv6 ? " nodad" : ""),
                        "route add default via \(plan.nodeAddress(family, node: 0))",
                    ]
                })
    }

    /// Routes to the pods of the other nodes.
    private func otherNodes(than index: Int) -> [String] {
        nodes.indices.filter { $0 != index }.flatMap { other in
            plan.families.map {
                "route add \(plan.podBlock($0, node: other)) via \(plan.nodeAddress($0, node: other))"
            }
        }
    }

    private func joinRouted(_ pods: [TestCluster.Host], to node: TestCluster.Host) throws {
        var onNode: [String] = []
        for pod in pods {
            let interface = pod.nodeInterface ?? ""
            onNode += [
                "link add \(interface) address \(nodeEndMAC) type veth peer name eth0 "
                    + "address \(routedPodMAC) netns \(pod.namespace.name)",
                "link set \(interface) up",
            ]
            onNode += pathToRoutedPod(pod.addresses, on: interface)
        }
        try node.namespace.ip(onNode)
        for pod in pods {
            try pod.namespace.ip(
                ["link set eth0 up"]
                    + pod.addresses.flatMap { address in
                        let gateway = gateway(address.family)
                        return [
                            "addr add \(address)/\(address.family.bitWidth) dev eth0"
                                + (address.family == .ipv6 ? " nodad" : ""),
                            "neigh add \(gateway) lladdr \(nodeEndMAC) dev eth0 nud permanent",
                            "route add default via \(gateway) dev eth0 onlink",
                        ]
                    })
        }
    }

    /// More addresses for a routed pod.
    func add(_ addresses: [IPAddress], to pod: TestCluster.Host, on node: TestCluster.Host) throws {
        guard plan.podNetwork == .routed, let interface = pod.nodeInterface else {
            preconditionFailure("\(pod.name) is not a routed pod")
        }
        try pod.namespace.ip(
            addresses.map {
                "addr add \($0)/\($0.family.bitWidth) dev eth0" + ($0.family == .ipv6 ? " nodad" : "")
            })
        try node.namespace.ip(pathToRoutedPod(addresses, on: interface))
    }

    private func pathToRoutedPod(_ addresses: [IPAddress], on interface: String) -> [String] {
        addresses.map { "route add \($0) dev \(interface) scope link" }
            + Self.neighbours(addresses, routedPodMAC, on: interface)
    }

    private func joinBridged(
        _ pods: [TestCluster.Host], to node: TestCluster.Host, number: Int, hairpin: Bool
    ) throws {
        let length = ClusterPlan.networkLength
        var onNode = [
            "link add cni0 address \(bridgeMAC(number)) type bridge forward_delay 0 mcast_snooping 0",
            "link set cni0 up",
        ]
        onNode += plan.families.map {
            "addr add \(plan.bridgeAddress($0, node: number))/\(length($0)) dev cni0"
                + ($0 == .ipv6 ? " nodad" : "")
        }
        for (index, pod) in pods.enumerated() {
            let interface = pod.nodeInterface ?? ""
            onNode += [
                "link add \(interface) type veth peer name eth0 address \(bridgedPodMAC(index)) "
                    + "netns \(pod.namespace.name)",
                "link set \(interface) master cni0 up",
            ]
            onNode += Self.neighbours(pod.addresses, bridgedPodMAC(index), on: "cni0")
            if hairpin { onNode.append("link set \(interface) type bridge_slave hairpin on") }
        }
        try node.namespace.ip(onNode)
        // What Kubernetes asks of a node: without it the answer of a pod to its neighbour would cross the
        // bridge untranslated.
        try node.namespace.setSysctls([
            "bridge/bridge-nf-call-iptables": "1", "bridge/bridge-nf-call-ip6tables": "1",
        ])
        let bridge = plan.families.map { plan.bridgeAddress($0, node: number) }
        for (index, pod) in pods.enumerated() {
            try pod.namespace.ip(
                ["link set eth0 up"]
                    + pod.addresses.flatMap { address in
                        [
                            "addr add \(address)/\(length(address.family)) dev eth0"
                                + (address.family == .ipv6 ? " nodad" : ""),
                            "route add default via \(plan.bridgeAddress(address.family, node: number))",
                        ]
                    }
                    + Self.neighbours(bridge, bridgeMAC(number), on: "eth0")
                    + pods.enumerated().filter { $0.offset != index }.flatMap {
                        Self.neighbours($0.element.addresses, bridgedPodMAC($0.offset), on: "eth0")
                    })
        }
    }
}
