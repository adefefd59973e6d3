public import IPAddressing
import KubernetesAPI
public import NFTables
import ServiceModel

/// The names of everything that Sluice keeps in the kernel.
///
/// Names of pools follow from the service port alone, so that they mean the same after a restart and to whoever reads
/// `nft list ruleset`. The longest, three DNS labels of 63 characters with a prefix, stays under the kernel's 255.
public enum ObjectNames {
    /// One table a family: `ip sluice`, `ip6 sluice`.
    public static let table = "sluice"

    public static func tableID(_ family: AddressFamily) -> TableID { TableID(family.nft, table) }

    /// What the tables say of themselves. A change of the layout that a comparison of rules, sets and chains wouldn't
    /// take for one needs another number: tables that say anything else are replaced as a whole.
    public static let layout = "Sluice, layout 1"

    /// Every table that belongs to Sluice.
    public static let tables = AddressFamily.allCases.map(tableID)

    // Base chains, and the chains they share.
    static let prerouting = "prerouting"
    static let output = "output"
    static let postrouting = "postrouting"
    static let input = "input"
    static let dispatch = "dispatch"
    static let refuse = "refuse"
    static let remember = "remember"
    static let translated = "translated"
    static let source = "source"
    static let translate = "translate"
    static let translateHost = "translate-host"

    // Sets and maps of the table's frame.
    static let protocols = "protocols"
    static let direct = "direct"
    static let services = "services"
    static let affinity = "affinity"
    static let hairpin = "hairpin"
    static let clusterIPs = "cluster-ips"
    static let serviceNetworks = "service-cidrs"
    static let localPods = "local-pods"
    static let nodeAddresses = "node-addresses"
    static let nodePorts = "nodeports"
    static let masquerade = "masqueraded"
    static let masqueradeNodePorts = "masqueraded-nodeports"
    static let affinityNodePorts = "affinity-nodeports"
    static let affinityAddresses = "affinity-addresses"
    static let externalAddresses = "external-addresses"

    static func slots(_ map: Int) -> String { "slots-\(map)" }

    /// `default/web/tcp/http`: what the names of a pool's objects end in.
    static func identity(_ id: ServicePortID) -> String {
        let base = "\(id.service.namespace)/\(id.service.name)/\(id.transport)"
        return id.port.isEmpty ? base : "\(base)/\(id.port)"
    }

    /// The chain of the endpoints under a policy.
    static func pool(_ identity: String, _ policy: Service.TrafficPolicy) -> String {
        switch policy {
        case .cluster: "pool-\(identity)"
        case .local: "local-\(identity)"
        }
    }

    /// Whether a chain's name is a pool's.
    static func isPool(_ chain: String) -> Bool { chain.hasPrefix("pool-") || chain.hasPrefix("local-") }

    /// The chain that chooses between the pools of the two policies.
    static func external(_ identity: String) -> String { "external-\(identity)" }
    /// The chain and the set that let only some sources pass.
    static func firewall(_ identity: String) -> String { "firewall-\(identity)" }
    static func sources(_ identity: String) -> String { "sources-\(identity)" }
    static func remember(_ identity: String) -> String { "remember-\(identity)" }
    /// Clients of a pool, by the name that its affinity goes by: see `AffinityMemory`.
    static func affinity(_ pool: String, port: UInt16) -> String { "affinity-\(pool)/\(port)" }
    /// Endpoints of a pool, by the same name.
    static func members(_ pool: String, port: UInt16) -> String { "members-\(pool)/\(port)" }

    /// Whether a set's name is that of clients of a pool, which packets write.
    package static func isAffinity(_ set: String) -> Bool {
        ["affinity-pool-", "affinity-local-"].contains { set.hasPrefix($0) }
    }

    /// The number of a map of slots.
    static func slotMap(_ set: String) -> Int? {
        let prefix = slots(0).dropLast()
        guard set.hasPrefix(prefix), let number = Int(set.dropFirst(prefix.count)), slots(number) == set
        else {
            return nil
        }
        return number
    }

    /// What the name of a Service's own chain or set begins with, longest first.
    private static let prefixes = [
        "affinity-local-", "affinity-pool-", "members-local-", "members-pool-", "external-", "firewall-",
        "remember-", "sources-", "local-", "pool-",
    ]

    /// The Service that a chain or set is of; nil for what is of none, or of several.
    static func service(of name: String) -> ObjectName? {
        guard let prefix = prefixes.first(where: { name.hasPrefix($0) }) else { return nil }
        let parts = name.dropFirst(prefix.count).split(separator: "/", maxSplits: 2)
        guard parts.count == 3 else { return nil }
        return ObjectName(namespace: String(parts[0]), name: String(parts[1]))
    }

    /// Whether nft's grammar takes the identity inside a name, and the kernel its length.
    static func isValid(_ identity: String) -> Bool {
        identity.utf8.count <= 210
            && identity.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                    UInt8(ascii: "/"):
                    true
                default: false
                }
            }
    }
}

extension AddressFamily {
    /// The nf_tables family of the table that serves it.
    public var nft: Family { self == .ipv4 ? .ip : .ip6 }

    /// nft's type of an address.
    var datatype: Datatype { self == .ipv4 ? .ipv4Address : .ipv6Address }
}
