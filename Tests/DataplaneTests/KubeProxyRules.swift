import ClusterBuilders
import IPAddressing
import TestNetwork

/// Rules in the shape that kube-proxy gives them: its nftables mode's table, and its iptables mode's chains.
struct KubeProxyRules {
    /// A Service `default/<name>` with port 80, `http` over TCP, to 8080 of pods.
    struct ServedService {
        let name: String
        /// Of the virtual address.
        let number: UInt8
        let pods: [TestCluster.Host]
        /// Seconds.
        var affinity: UInt32?
    }

    let services: [ServedService]
    static let port = 80
    static let targetPort = 8080

    // MARK: nftables

    /// The tables of both families.
    var nftables: String { AddressFamily.allCases.map(table).joined() }

    private func table(_ family: AddressFamily) -> String {
        let (ip, type) = family == .ipv4 ? ("ip", "ipv4_addr") : ("ip6", "ipv6_addr")
        var chains: [String] = []
        var sets: [String] = []
        var elements: [String] = []
        for service in services {
            let identity = "default/\(service.name)/tcp/http"
            let address = VirtualAddress.number(service.number, family)
            let endpoints = service.pods.map { pod in
                let target = pod.address(family)
                let name =
                    "\(Self.hash(identity, target))-\(identity)__"
                    + "\(target)".replacing(":", with: ".") + "/\(Self.targetPort)"
                return (name: name, target: target)
            }
            var rules = [
                "\(ip) daddr \(address) tcp dport 80 \(ip) saddr != \(Self.pods(family)) jump mark-for-masquerade"
            ]
            if service.affinity != nil {
                rules += endpoints.map { "\(ip) saddr @affinity-\($0.name) goto endpoint-\($0.name)" }
            }
            let choices = endpoints.enumerated().map { "\($0) : goto endpoint-\($1.name)" }
            rules.append("numgen random mod \(endpoints.count) vmap { \(choices.joined(separator: ", ")) }")
            let chain = "service-\(Self.hash(identity))-\(identity)"
            chains.append(Self.chain(chain, rules))
            elements.append("\(address) . tcp . 80 : goto \(chain)")
            for endpoint in endpoints {
                var rules = ["\(ip) saddr \(endpoint.target) jump mark-for-masquerade"]
                if let affinity = service.affinity {
                    sets.append(
                        "set affinity-\(endpoint.name) { type \(type); size 65535; flags dynamic,timeout; timeout \(affinity)s; }"
                    )
                    rules.append("update @affinity-\(endpoint.name) { \(ip) saddr }")
                }
                let target = family == .ipv4 ? "\(endpoint.target)" : "[\(endpoint.target)]"
                rules.append("meta l4proto tcp dnat to \(target):\(Self.targetPort)")
                chains.append(Self.chain("endpoint-\(endpoint.name)", rules))
            }
        }
        let virtual = "type \(type) . inet_proto . inet_service : verdict;"
        let node = "type inet_proto . inet_service : verdict;"
        let addresses = services.map { "\(VirtualAddress.number($0.number, family))" }.joined(separator: ", ")
        return """
            table \(ip) kube-proxy {
              comment "rules for kube-proxy"
              set cluster-ips { type \(type); comment "Active ClusterIPs"; elements = { \(addresses) }; }
              set nodeport-ips { type \(type); }
              map firewall-ips { \(virtual) }
              map no-endpoint-nodeports { \(node) }
              map no-endpoint-services { \(virtual) }
              map service-ips { \(virtual) elements = { \(elements.joined(separator: ", ")) }; }
              map service-nodeports { \(node) }
              \(sets.joined(separator: "\n  "))
              chain mark-for-masquerade { meta mark set meta mark | 0x4000; }
              chain masquerading {
                meta mark & 0x4000 == 0 return
                meta mark set meta mark ^ 0x4000
                masquerade fully-random
              }
              chain cluster-ips-check { \(ip) daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"; }
              chain reject-chain { reject; }
              chain firewall-check { \(ip) daddr . meta l4proto . th dport vmap @firewall-ips; }
              chain service-endpoints-check { \(ip) daddr . meta l4proto . th dport vmap @no-endpoint-services; }
              chain nodeport-endpoints-check { \(ip) daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports; }
            \(chains.reversed().joined(separator: "\n"))
              chain services {
                \(ip) daddr . meta l4proto . th dport vmap @service-ips
                \(ip) daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
              }
              chain filter-prerouting-pre-dnat { type filter hook prerouting priority -110; ct state new jump firewall-check; }
              chain filter-output-pre-dnat { type filter hook output priority -110; ct state new jump firewall-check; }
              chain filter-forward { type filter hook forward priority 0; ct state new jump service-endpoints-check; ct state new jump cluster-ips-check; }
              chain filter-input { type filter hook input priority 0; ct state new jump nodeport-endpoints-check; ct state new jump service-endpoints-check; }
              chain filter-output { type filter hook output priority 0; ct state new jump service-endpoints-check; ct state new jump cluster-ips-check; }
              chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
              chain nat-output { type nat hook output priority -100; jump services; }
              chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }
            }

            """
    }

    private static func chain(_ name: String, _ rules: [String]) -> String {
        "  chain \(name) {\n" + rules.map { "    \($0)\n" }.joined() + "  }"
    }

    private static func pods(_ family: AddressFamily) -> String {
        family == .ipv4 ? "10.244.0.0/16" : "fd00:244::/32"
    }

    /// Eight letters that differ, in place of a hash's.
    private static func hash(_ parts: any CustomStringConvertible...) -> String {
        var value: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in parts.map(\.description).joined(separator: " ").utf8 {
            value = (value ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
        return String((0..<8).map { letters[Int(value >> (5 * UInt64($0)) & 31)] })
    }

    // MARK: iptables

    /// What the iptables mode adds, for `iptables-restore --noflush` or `ip6tables-restore --noflush`.
    func iptables(_ family: AddressFamily) -> String {
        let length = family == .ipv4 ? 32 : 128
        var chains = [
            "KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ", "KUBE-PROXY-CANARY",
        ]
        var rules = [
            "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
            "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
            "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
            "-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully",
        ]
        for service in services {
            let comment = "-m comment --comment \"default/\(service.name):http"
            let chain = "KUBE-SVC-\(Self.hash(service.name))"
            chains.append(chain)
            rules.append(
                "-A KUBE-SERVICES -d \(VirtualAddress.number(service.number, family))/\(length) -p tcp \(comment) cluster IP\" -m tcp --dport 80 -j \(chain)"
            )
            let endpoints = service.pods.map { pod in
                (
                    chain: "KUBE-SEP-\(Self.hash(service.name, pod.address(family)))",
                    target: pod.address(family)
                )
            }
            if let affinity = service.affinity {
                for endpoint in endpoints {
                    rules.append(
                        "-A \(chain) \(comment)\" -m recent --rcheck --seconds \(affinity) --reap --name \(endpoint.chain) --rsource -j \(endpoint.chain)"
                    )
                }
            }
            for (index, endpoint) in endpoints.enumerated() {
                let left = endpoints.count - index
                let chance = left > 1 ? "-m statistic --mode random --probability \(1.0 / Double(left)) " : ""
                rules.append("-A \(chain) \(comment)\" \(chance)-j \(endpoint.chain)")
                chains.append(endpoint.chain)
                rules.append(
                    "-A \(endpoint.chain) -s \(endpoint.target)/\(length) \(comment)\" -j KUBE-MARK-MASQ")
                let recent =
                    service.affinity == nil ? "" : "-m recent --set --name \(endpoint.chain) --rsource "
                let target = family == .ipv4 ? "\(endpoint.target)" : "[\(endpoint.target)]"
                rules.append(
                    "-A \(endpoint.chain) -p tcp \(comment)\" \(recent)-m tcp -j DNAT --to-destination \(target):\(Self.targetPort)"
                )
            }
        }
        rules.append(
            "-A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports\" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"
        )
        let portals = "-m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES"
        let new = "-m conntrack --ctstate NEW"
        return """
            *nat
            \(chains.map { ":\($0) - [0:0]" }.joined(separator: "\n"))
            -I PREROUTING \(portals)
            -I OUTPUT \(portals)
            -I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
            \(rules.joined(separator: "\n"))
            COMMIT
            *filter
            :KUBE-SERVICES - [0:0]
            :KUBE-EXTERNAL-SERVICES - [0:0]
            :KUBE-FORWARD - [0:0]
            :KUBE-NODEPORTS - [0:0]
            :KUBE-PROXY-FIREWALL - [0:0]
            :KUBE-PROXY-CANARY - [0:0]
            -I INPUT \(new) -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
            -I FORWARD \(new) -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
            -I INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
            -I FORWARD \(new) \(portals)
            -I OUTPUT \(new) \(portals)
            -I FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
            -I INPUT \(new) -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
            -I OUTPUT \(new) -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
            -I FORWARD \(new) -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
            -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
            -A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
            -A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
            COMMIT
            *mangle
            :KUBE-PROXY-CANARY - [0:0]
            COMMIT

            """
    }

    /// What the kubelet and others keep in iptables' tables.
    static func foreignIPTables(_ family: AddressFamily) -> String {
        let network = family == .ipv4 ? "198.51.100.0/24" : "2001:db8:100::/64"
        let loopback = family == .ipv4 ? "127.0.0.0/8" : "::1/128"
        return """
            *nat
            :KUBE-KUBELET-CANARY - [0:0]
            :KUBE-MARK-DROP - [0:0]
            :CNI-HOSTPORT-DNAT - [0:0]
            -A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
            -A CNI-HOSTPORT-DNAT -p tcp -m multiport --dports 9000,9001 -j RETURN
            -A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000
            -A POSTROUTING -s \(network) ! -o lo -m comment --comment "a network plugin's" -j MASQUERADE --random-fully
            COMMIT
            *filter
            :KUBE-FIREWALL - [0:0]
            :KUBE-KUBELET-CANARY - [0:0]
            :OTHERS - [0:0]
            -A INPUT -j KUBE-FIREWALL
            -A OUTPUT -j KUBE-FIREWALL
            -A FORWARD -m limit --limit 5/min -j OTHERS
            -A OTHERS -p tcp -m tcp --tcp-flags SYN,RST SYN -m hashlimit --hashlimit-above 100000/sec --hashlimit-mode srcip --hashlimit-name others -j RETURN
            -A KUBE-FIREWALL ! -s \(loopback) -d \(loopback) -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
            COMMIT
            *mangle
            :KUBE-IPTABLES-HINT - [0:0]
            :KUBE-KUBELET-CANARY - [0:0]
            -A PREROUTING -i lo -p tcp -j TOS --set-tos 0x10/0x3f
            COMMIT

            """
    }
}
