import ArgumentParser
import ProxyConfiguration

/// What an operator decides about the node's proxy, with kube-proxy's names.
struct ProxyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "This node's name, as EndpointSlices say it. Default: the host name.", valueName: "node"))
    var hostnameOverride: String?

    @Option(
        help: ArgumentHelp(
            "nftables, iptables or ipvs: whose settings are read. Sluice serves with nftables in any case.",
            valueName: "mode"))
    var proxyMode: String?

    @Option(
        help: ArgumentHelp(
            "How pods of this node are told from others: ClusterCIDR (the default), NodeCIDR, BridgeInterface, InterfaceNamePrefix.",
            valueName: "mode"))
    var detectLocalMode: String?

    @Option(
        help: ArgumentHelp(
            "The pods' networks, one of each family, separated by a comma (mode ClusterCIDR).",
            valueName: "cidrs"))
    var clusterCidr: String?

    @Option(
        help: ArgumentHelp(
            "The bridge that local pods are on (mode BridgeInterface).", valueName: "interface"))
    var podBridgeInterface: String?

    @Option(
        help: ArgumentHelp(
            "How the names of local pods' interfaces begin (mode InterfaceNamePrefix).", valueName: "prefix"))
    var podInterfaceNamePrefix: String?

    @Option(
        defaultAsFlag: Switch.on, parsing: .next,
        help: ArgumentHelp("Masquerade all traffic to cluster IPs.", valueName: "bool"))
    var masqueradeAll: Switch?

    @Option(
        help: ArgumentHelp(
            "Networks of the node's addresses that serve node ports, separated by commas, or 'primary' (the default).",
            valueName: "cidrs"))
    var nodeportAddresses: [String] = []

    @Option(
        help: ArgumentHelp(
            "The node's primary address, instead of the Node object's; 0.0.0.0 and :: name none.",
            valueName: "address"))
    var bindAddress: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("This process's OOM score adjustment, -1000 to 1000.", valueName: "score"))
    var oomScoreAdj: Int32?

    @Option(
        help: ArgumentHelp("Accepted; Sluice has no feature gates.", valueName: "gate=bool,…"))
    var featureGates: [SwitchMap] = []

    func apply(to settings: inout FlagSettings) {
        settings.overrides.hostname = hostnameOverride
        if let name = hostnameOverride, !name.isEmpty, name.allSatisfy(\.isWhitespace) {
            settings.refuse("--hostname-override", "empty")
        }
        settings.set("--proxy-mode", proxyMode, \.mode)
        settings.set("--detect-local-mode", detectLocalMode, \.detectLocalMode)
        settings.set("--cluster-cidr", clusterCidr, \.clusterCIDR)
        settings.set("--pod-bridge-interface", podBridgeInterface, \.detectLocal.bridgeInterface)
        settings.set(
            "--pod-interface-name-prefix", podInterfaceNamePrefix, \.detectLocal.interfaceNamePrefix)
        // kube-proxy's flag is for whichever mode it runs in.
        let isNFTables = proxyMode == "nftables"
        settings.set(
            "--masquerade-all", masqueradeAll,
            isNFTables ? \.nftables.masqueradeAll : \.iptables.masqueradeAll)
        settings.set("--nodeport-addresses", list(nodeportAddresses), \.nodePortAddresses)
        settings.set("--bind-address", bindAddress, \.bindAddress)
        settings.set("--oom-score-adj", oomScoreAdj, \.oomScoreAdj)
        let gates = featureGates.reduce(into: [:]) { $0.merge($1.switches) { _, last in last } }
        settings.set("--feature-gates", featureGates.isEmpty ? nil : gates, \.featureGates)
    }
}

/// The entries of a flag that takes several, separated by commas, and may be given more than once; nil: not given.
func list(_ values: [String]) -> [String]? {
    if values.isEmpty { return nil }
    return values.flatMap { $0.split(separator: ",") }.map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
}
