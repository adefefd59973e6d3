import ClusterGenerator
import IPAddressing

/// The rules of kube-proxy's iptables mode for ClusterIP Services, as `iptables-restore` reads them: KUBE-SERVICES has
/// a rule for each port, one after the other; KUBE-SVC-… draws lots among KUBE-SEP-…, which translate.
struct IPTablesRules {
    let cluster: MeasuredCluster

    /// kube-proxy leaves comments out from so many endpoints on.
    private static let mostEndpointsWithComments = 1_000

    private var withComments: Bool { cluster.generated.endpointCount <= Self.mostEndpointsWithComments }

    var text: String {
        var chains = ""
        var services = ""
        var rules = ""
        for index in 0..<cluster.serviceCount {
            for port in cluster.ports(index) { add(port, &chains, &services, &rules) }
        }
        return Self.filter + "*nat\n" + Self.natChains + chains + Self.natFrame + services
            // Node ports come last.
            + "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n" + rules + "COMMIT\n"
    }

    private func comment(_ text: String) -> String {
        withComments ? #"-m comment --comment "\#(text)" "# : ""
    }

    private func add(
        _ port: ServicePort, _ chains: inout String, _ services: inout String, _ rules: inout String
    ) {
        let chain = RuleNames.iptablesService(port)
        let transport = "-m \(port.transport) -p \(port.transport)"
        let destination = "\(transport) -d \(port.address.address) --dport \(port.address.port)"
        chains += ":\(chain) - [0:0]\n"
        services += "-A KUBE-SERVICES \(comment("\(port.title) cluster IP"))\(destination) -j \(chain)\n"
        rules +=
            "-A \(chain) \(comment("\(port.title) cluster IP"))\(destination) "
            + "! -s \(MeasuredCluster.clusterCIDR) -j KUBE-MARK-MASQ\n"
        if let timeout = port.affinityTimeout {
            for index in port.endpoints.indices {
                let endpoint = RuleNames.iptablesEndpoint(port, index)
                rules +=
                    "-A \(chain) \(comment("\(port.title) -> \(port.endpoints[index])"))-m recent --name \(endpoint) "
                    + "--rcheck --seconds \(timeout) --reap -j \(endpoint)\n"
            }
        }
        for (index, endpoint) in port.endpoints.enumerated() {
            let name = RuleNames.iptablesEndpoint(port, index)
            let left = port.endpoints.count - index
            chains += ":\(name) - [0:0]\n"
            rules += "-A \(chain) \(comment("\(port.title) -> \(endpoint)"))"
            if left > 1 {
                rules += "-m statistic --mode random --probability \(Self.probability(oneOf: left)) "
            }
            rules += "-j \(name)\n"
            rules += "-A \(name) \(comment(port.title))-s \(endpoint.address) -j KUBE-MARK-MASQ\n"
            let remember = port.affinityTimeout == nil ? "" : "-m recent --name \(name) --set "
            rules +=
                "-A \(name) \(comment(port.title))\(remember)\(transport) -j DNAT --to-destination \(endpoint)\n"
        }
    }

    /// 1/n with ten decimals.
    static func probability(oneOf count: Int) -> String {
        let scale = 10_000_000_000
        let value = (scale + count / 2) / count
        let decimals = String(value % scale)
        return "\(value / scale)." + String(repeating: "0", count: 10 - decimals.count) + decimals
    }

    private static let filter = """
        *filter
        :KUBE-NODEPORTS - [0:0]
        :KUBE-SERVICES - [0:0]
        :KUBE-EXTERNAL-SERVICES - [0:0]
        :KUBE-FORWARD - [0:0]
        :KUBE-PROXY-FIREWALL - [0:0]
        -A INPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
        -A INPUT -j KUBE-NODEPORTS
        -A INPUT -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
        -A FORWARD -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
        -A FORWARD -j KUBE-FORWARD
        -A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES
        -A FORWARD -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
        -A OUTPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
        -A OUTPUT -m conntrack --ctstate NEW -j KUBE-SERVICES
        -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
        -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
        -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        COMMIT

        """

    private static let natChains = """
        :KUBE-NODEPORTS - [0:0]
        :KUBE-SERVICES - [0:0]
        :KUBE-POSTROUTING - [0:0]
        :KUBE-MARK-MASQ - [0:0]

        """

    private static let natFrame = """
        -A PREROUTING -j KUBE-SERVICES
        -A OUTPUT -j KUBE-SERVICES
        -A POSTROUTING -j KUBE-POSTROUTING
        -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
        -A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
        -A KUBE-POSTROUTING -j MASQUERADE --random-fully
        -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000

        """
}
