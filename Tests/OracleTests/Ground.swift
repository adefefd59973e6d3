import Agent
import IPAddressing
import KubernetesAPI
import Oracle
import PacketSimulator

typealias Endpoint = EndpointSlice.Endpoint

/// Traps on text that is none: it is written in a test.
func ip(_ text: String) -> IPAddress {
    guard let address = IPAddress(text) else { preconditionFailure("\(text) is no address") }
    return address
}

func network(_ text: String) -> IPNetwork {
    guard let network = IPNetwork(text) else { preconditionFailure("\(text) is no network") }
    return network
}

/// Where things are: this host, its pods, other nodes' pods, the world outside.
enum Ground {
    static let nodeName = "n1"
    static let zone = "east"
    static let podInterface = "cni0"

    static let primaryAddresses = [ip("192.0.2.1"), ip("2001:db8::1")]
    static let secondAddresses = [ip("192.0.2.77"), ip("2001:db8::77")]
    static let podsHere = [network("10.16.0.0/16"), network("fd00:10:16::/48")]
    static let podsElsewhere = [network("10.17.0.0/16"), network("fd00:10:17::/48")]
    static let allPods = [network("10.16.0.0/12"), network("fd00:10::/32")]
    static let outside = [network("198.51.0.0/16"), network("2001:db8:51::/48")]
    static let services = [network("10.96.0.0/16"), network("fd00:96::/64")]
    static let loadBalancers = [network("203.0.0.0/16"), network("2001:db8:20::/64")]
    static let externals = [network("203.1.0.0/16"), network("2001:db8:21::/64")]

    static let clusterNode = KubernetesAPI.Node(
        name: nodeName, zone: zone, podCIDRs: podsHere, addresses: primaryAddresses)
    static let simulatorNode = SimulatedNode(
        addresses: primaryAddresses + secondAddresses,
        interfaces: [SimulatedNode.Interface("eth0", []), SimulatedNode.Interface(podInterface, podsHere)])

    /// The nth address of the network of a family.
    static func address(_ n: Int, in networks: [IPNetwork], _ family: AddressFamily) -> IPAddress {
        guard let base = networks.first(where: { $0.family == family })?.address else {
            preconditionFailure("no network of the family")
        }
        switch family {
        case .ipv4: return IPAddress(ipv4: UInt32(truncatingIfNeeded: base.low) + UInt32(n))
        case .ipv6: return IPAddress(high: base.high, low: base.low + UInt64(n))
        }
    }

    static func of(_ family: AddressFamily, _ addresses: [IPAddress]) -> IPAddress {
        guard let found = addresses.first(where: { $0.family == family }) else {
            preconditionFailure("no address of the family")
        }
        return found
    }
}

/// Who opens a connection.
enum SourceKind: CaseIterable, Sendable {
    case podHere, podElsewhere, host, outside

    /// Clients are numbered from a thousand on: below that are endpoints.
    func address(_ n: Int, _ family: AddressFamily) -> IPAddress {
        switch self {
        case .podHere: Ground.address(1000 + n, in: Ground.podsHere, family)
        case .podElsewhere: Ground.address(1000 + n, in: Ground.podsElsewhere, family)
        // Not the address that masquerading gives, so that it can be seen.
        case .host: Ground.of(family, Ground.secondAddresses)
        case .outside: Ground.address(1000 + n, in: Ground.outside, family)
        }
    }

    var sender: Question.Sender {
        switch self {
        case .podHere: .interface(Ground.podInterface)
        case .podElsewhere, .outside: .interface("eth0")
        case .host: .host
        }
    }
}

/// `detectLocalMode` in both vocabularies.
enum LocalModeCase: CaseIterable, Sendable {
    case none, clusterCIDR, nodeCIDR, bridgeInterface, interfaceNamePrefix

    var settings: ProxySettings.LocalMode? {
        switch self {
        case .none: nil
        case .clusterCIDR: .clusterCIDR(Ground.allPods)
        case .nodeCIDR: .nodeCIDR
        case .bridgeInterface: .bridgeInterface(Ground.podInterface)
        case .interfaceNamePrefix: .interfaceNamePrefix("cni")
        }
    }

    var oracle: Oracle.LocalMode? {
        switch self {
        case .none: nil
        case .clusterCIDR: .clusterCIDR(Ground.allPods)
        case .nodeCIDR: .nodeCIDR
        case .bridgeInterface: .bridgeInterface(Ground.podInterface)
        case .interfaceNamePrefix: .interfaceNamePrefix("cni")
        }
    }
}
