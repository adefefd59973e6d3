public import IPAddressing

/// On which of the host's addresses node ports are served (`nodePortAddresses`, `--nodeport-addresses`).
public enum NodePortAddresses: Sendable, Hashable {
    /// `primary`: the Node's first address of each family; a family in which the Node has none: all the host's
    /// addresses.
    case primary
    /// The host's addresses in these blocks; a family without a block, or with the block of all, 0.0.0.0/0 or ::/0:
    /// all its addresses but the link-local ones.
    case networks([IPNetwork])

    /// What is wrong in a setting.
    public enum SettingError: Error, Sendable, Equatable, CustomStringConvertible {
        /// `primary` beside others.
        case primaryAmongOthers
        /// An entry that is neither `primary` nor a CIDR; counted from 0.
        case notANetwork(index: Int, text: String)

        public var description: String {
            switch self {
            case .primaryAmongOthers:
                "nodePortAddresses: \"primary\" must stand alone"
            case .notANetwork(let index, let text):
                "nodePortAddresses[\(index)]: \"\(text.prefix(64))\" is neither a CIDR block "
                    + "such as 192.0.2.0/24 nor \"primary\""
            }
        }
    }

    /// Reads the setting's strings; none mean `primary`, the default of kube-proxy's nftables mode.
    public static func parse(_ texts: [String]) throws(SettingError) -> Self {
        if texts.isEmpty || texts == ["primary"] { return .primary }
        guard !texts.contains("primary") else { throw .primaryAmongOthers }
        var networks: [IPNetwork] = []
        for (index, text) in texts.enumerated() {
            guard let network = IPNetwork(lenient: text) else { throw .notANetwork(index: index, text: text) }
            networks.append(network)
        }
        return .networks(networks)
    }

    /// The addresses that serve node ports, sorted; never loopback or multicast ones.
    ///
    /// Link-local ones have to be asked for by a block that singles them out, such as 169.254.20.0/24: every link
    /// has one in IPv6, those to pods too, and they would come and go with each pod.
    ///
    /// An address of the Node that the host doesn't hold (yet) is left out: a packet to it belongs to
    /// another host. A family in which the Node has no address, or loopback, is as one without a block:
    /// kube-proxy makes a block of each primary address, and none of what it hasn't got (`detectNodeIPs` and
    /// `NewNodePortAddresses`).
    ///
    /// - Parameters:
    ///   - nodeAddresses: the Node object's, InternalIP first, then ExternalIP (`KubernetesAPI.Node.addresses`);
    ///     empty when there is no Node or it has none.
    ///   - host: the host's addresses; nil when they aren't known, as in a dry run for another machine: then
    ///     `primary` trusts the Node, and all else gives nothing.
    public func select(nodeAddresses: [IPAddress], host: [HostAddress]?) -> [IPAddress] {
        let held = host.map { list in
            Set(list.lazy.filter { !$0.isTentative && Self.canServe($0.address) }.map(\.address))
        }
        let usual = held?.filter { !$0.isLinkLocal }
        return AddressFamily.allCases.flatMap { family -> [IPAddress] in
            let all = (usual ?? []).filter { $0.family == family }
            switch self {
            case .primary:
                guard let first = nodeAddresses.first(where: { $0.family == family }), !first.isLoopback
                else { return Array(all) }
                let isServing = usual?.contains(first) ?? (Self.canServe(first) && !first.isLinkLocal)
                return isServing ? [first] : []
            case .networks(let networks):
                let blocks = networks.filter { $0.family == family }
                let isAll = blocks.isEmpty || blocks.contains { $0.prefixLength == 0 }
                let chosen = (held ?? []).filter { address in
                    blocks.contains { $0.prefixLength > 0 && $0.contains(address) }
                }
                return Array(isAll ? chosen.union(all) : chosen)
            }
        }.sorted()
    }

    private static func canServe(_ address: IPAddress) -> Bool {
        !address.isLoopback && !address.isMulticast && !address.isUnspecified
    }
}
