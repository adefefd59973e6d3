/// What stands between clients and endpoints.
enum Opponent: Hashable, Sendable {
    /// Nothing: clients know the pod's address, and no connection is tracked.
    case direct
    /// A rule for the one service that is measured and nothing else: the limit of NAT itself.
    case oneRule
    /// The same once more, in other namespaces: how far it is from the first is how much the machine lets be told.
    case oneRuleAgain
    case sluice
    /// A chain for each service port and endpoint, and filter chains: kube-proxy's nftables mode, made by the benchmark.
    case serviceChains
    /// Chains that are walked rule by rule: kube-proxy's iptables mode, made by the benchmark.
    case iptables(IPTablesVariant)
    /// The real one.
    case kubeProxy(mode: String)
    /// Rules of a file, loaded by nft.
    case script(name: String, path: String)

    enum IPTablesVariant: String, Sendable {
        case legacy
        case nft
    }

    var name: String {
        switch self {
        case .direct: "direct"
        case .oneRule: "one DNAT rule"
        case .oneRuleAgain: "one DNAT rule, again"
        case .sluice: "Sluice"
        case .serviceChains: "per-service chains (nft)"
        case .iptables(let variant): "rule chains (iptables-\(variant.rawValue))"
        case .kubeProxy(let mode): "kube-proxy, \(mode)"
        case .script(let name, _): name
        }
    }

    /// Whether it serves all Services, or the one that is measured.
    var hasAllServices: Bool {
        switch self {
        case .direct, .oneRule, .oneRuleAgain: false
        case .sluice, .serviceChains, .iptables, .kubeProxy, .script: true
        }
    }
}
