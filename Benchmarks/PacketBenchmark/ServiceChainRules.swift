import ClusterGenerator
import IPAddressing

/// The shape of kube-proxy's nftables mode, as a script for nft: a verdict map of the service addresses, a chain for
/// each service port with an anonymous map that draws lots among its endpoints' chains, and filter chains that every
/// packet passes.
struct ServiceChainRules {
    let cluster: MeasuredCluster
    /// The node's address that node ports would be served on.
    let nodeAddress: IPAddress

    /// Elements of one command; the kernel takes any number, nft's parser needs memory for each.
    private static let elementsOfCommand = 1_000

    var text: String {
        var chains = ""
        var rules = ""
        var serviceIPs: [String] = []
        var clusterIPs: [String] = []
        for index in 0..<cluster.serviceCount {
            let ports = cluster.ports(index)
            for port in ports {
                add(port, &chains, &rules)
                serviceIPs.append(
                    "\(port.address.address) . \(port.transport) . \(port.address.port) : "
                        + "goto \(RuleNames.serviceChain(port))")
            }
            clusterIPs += Set(ports.map(\.address.address)).map { "\($0)" }
        }
        return "table ip kube-proxy {\n" + frame + chains + "}\n" + rules
            + Self.elements(serviceIPs, of: "service-ips")
            + Self.elements(clusterIPs, of: "cluster-ips")
    }

    private func add(_ port: ServicePort, _ chains: inout String, _ rules: inout String) {
        let chain = RuleNames.serviceChain(port)
        let names = port.endpoints.indices.map { RuleNames.endpoint(port, $0) }
        chains += "chain \(chain) { }\n"
        for name in names {
            chains += "chain endpoint-\(name) { }\n"
            if let timeout = port.affinityTimeout {
                chains +=
                    "set affinity-\(name) { type ipv4_addr; flags dynamic,timeout; timeout \(timeout)s; }\n"
            }
        }
        let add = "add rule ip kube-proxy"
        rules +=
            "\(add) \(chain) ip daddr \(port.address.address) ip saddr != \(MeasuredCluster.clusterCIDR) "
            + "jump mark-for-masquerade\n"
        if port.affinityTimeout != nil {
            for name in names {
                rules += "\(add) \(chain) ip saddr @affinity-\(name) goto endpoint-\(name)\n"
            }
        }
        let lots = names.enumerated().map { "\($0.offset) : goto endpoint-\($0.element)" }
        rules += "\(add) \(chain) numgen random mod \(names.count) vmap { \(lots.joined(separator: ", ")) }\n"
        for (name, endpoint) in zip(names, port.endpoints) {
            rules += "\(add) endpoint-\(name) ip saddr \(endpoint.address) jump mark-for-masquerade\n"
            if port.affinityTimeout != nil {
                rules += "\(add) endpoint-\(name) update @affinity-\(name) { ip saddr }\n"
            }
            rules += "\(add) endpoint-\(name) meta l4proto \(port.transport) dnat to \(endpoint)\n"
        }
    }

    /// Commands that add the elements to a set of the table.
    static func elements(_ elements: [String], of set: String) -> String {
        var text = ""
        for first in stride(from: 0, to: elements.count, by: elementsOfCommand) {
            let part = elements[first..<min(first + elementsOfCommand, elements.count)]
            text += "add element ip kube-proxy \(set) { \(part.joined(separator: ", ")) }\n"
        }
        return text
    }

    private var frame: String {
        """
        set cluster-ips { type ipv4_addr; }
        set nodeport-ips { type ipv4_addr; elements = { \(nodeAddress) }; }
        map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
        map no-endpoint-nodeports { type inet_proto . inet_service : verdict; }
        map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }
        map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
        map service-nodeports { type inet_proto . inet_service : verdict; }
        chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
        chain masquerading {
            meta mark and 0x4000 == 0 return
            meta mark set meta mark xor 0x4000
            masquerade fully-random
        }
        chain services {
            ip daddr . meta l4proto . th dport vmap @service-ips
            ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
        }
        chain cluster-ips-check {
            ip daddr @cluster-ips reject
            ip daddr { 10.96.0.0/16 } drop
        }
        chain firewall-check { ip daddr . meta l4proto . th dport vmap @firewall-ips; }
        chain nodeport-endpoints-check {
            ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
        }
        chain service-endpoints-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }
        chain filter-prerouting-pre-dnat {
            type filter hook prerouting priority -110;
            ct state new jump firewall-check
        }
        chain filter-output-pre-dnat {
            type filter hook output priority -110;
            ct state new jump firewall-check
        }
        chain filter-forward {
            type filter hook forward priority 0;
            ct state new jump service-endpoints-check
            ct state new jump cluster-ips-check
        }
        chain filter-input {
            type filter hook input priority 0;
            ct state new jump nodeport-endpoints-check
            ct state new jump service-endpoints-check
        }
        chain filter-output {
            type filter hook output priority 0;
            ct state new jump service-endpoints-check
            ct state new jump cluster-ips-check
        }
        chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
        chain nat-output { type nat hook output priority -100; jump services; }
        chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }

        """
    }
}
