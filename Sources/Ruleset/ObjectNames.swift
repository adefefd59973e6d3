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

    // Sets and maps of the table's frame.
    static let protocols = "protocols"
    static let direct = "direct"
    static let services = "services"
    static let affinity = "affinity"
    static let hairpin = "hairpin"
    static let clusterIPs = "cluster-ips"
    static let serviceNetworks = "service-cidrs"

    static func slots(_ map: Int) -> String { "slots-\(map)" }

    /// `default/web/tcp/http`: what the names of a pool's objects end in.
    static func identity(_ id: ServicePortID) -> String {
        let base = "\(id.service.namespace)/\(id.service.name)/\(id.transport)"
        return id.port.isEmpty ? base : "\(base)/\(id.port)"
    }

    static func pool(_ identity: String) -> String { "pool-\(identity)" }
    static func remember(_ identity: String) -> String { "remember-\(identity)" }
    static func affinity(_ identity: String, port: UInt16) -> String { "affinity-\(identity)/\(port)" }

    /// `default/web:http`, cut at the 127 bytes that nft reads: what the kernel gives back must equal what was wanted,
    /// or each restart would change the element again. (Two DNS labels and a port's name can have 143.)
    static func comment(_ id: ServicePortID) -> String {
        String(decoding: id.description.utf8.prefix(127), as: UTF8.self)
    }

    /// Whether nft's grammar takes the identity inside a name, and the kernel its length.
    static func isValid(_ identity: String) -> Bool {
        identity.utf8.count <= 220
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
