import Agent
import ArgumentParser
import Foundation
import HostNetwork
import IPAddressing

/// `detectLocalMode` of kube-proxy.
enum DetectLocalMode: String, ExpressibleByArgument, CaseIterable {
    case clusterCIDR = "ClusterCIDR"
    case nodeCIDR = "NodeCIDR"
    case bridgeInterface = "BridgeInterface"
    case interfaceNamePrefix = "InterfaceNamePrefix"
}

/// What an operator decides about the node's proxy, with kube-proxy's names.
struct ProxyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "This node's name, as EndpointSlices say it. Default: the host name.", valueName: "node"))
    var hostnameOverride: String?

    @Option(
        help: ArgumentHelp(
            "How pods of this node are told from others. Default: ClusterCIDR when --cluster-cidr is given.",
            valueName: "mode"))
    var detectLocalMode: DetectLocalMode?

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

    @Flag(help: "Masquerade all traffic to cluster IPs.")
    var masqueradeAll = false

    @Option(
        help: ArgumentHelp(
            "Networks of the node's addresses that serve node ports, separated by commas, or 'primary' (the default).",
            valueName: "cidrs"))
    var nodeportAddresses: String?

    func validate() throws {
        _ = try settings()
    }

    func settings() throws -> ProxySettings {
        ProxySettings(
            nodeName: try nodeName(), localMode: try localMode(), masqueradeAll: masqueradeAll,
            nodePortAddresses: try nodePortAddresses())
    }

    /// Node names are lower case (kube-proxy's GetHostname).
    private func nodeName() throws -> String {
        let name = (hostnameOverride ?? ProcessInfo.processInfo.hostName)
            .trimmingCharacters(in: .whitespacesAndNewlines).lowercased()
        guard !name.isEmpty else { throw ValidationError("--hostname-override is empty.") }
        return name
    }

    private func localMode() throws -> ProxySettings.LocalMode? {
        switch detectLocalMode ?? (clusterCidr == nil ? nil : .clusterCIDR) {
        case nil: return nil
        case .nodeCIDR: return .nodeCIDR
        case .clusterCIDR:
            guard let clusterCidr else { throw ValidationError("Mode ClusterCIDR needs --cluster-cidr.") }
            return .clusterCIDR(try networks(clusterCidr, of: "--cluster-cidr"))
        case .bridgeInterface:
            let name = try interface(podBridgeInterface, of: "--pod-bridge-interface", for: "BridgeInterface")
            return .bridgeInterface(name)
        case .interfaceNamePrefix:
            let prefix = try interface(
                podInterfaceNamePrefix, of: "--pod-interface-name-prefix", for: "InterfaceNamePrefix")
            return .interfaceNamePrefix(prefix)
        }
    }

    private func nodePortAddresses() throws -> NodePortAddresses {
        let texts = (nodeportAddresses ?? "").split(separator: ",")
            .map { $0.trimmingCharacters(in: .whitespaces) }
        do throws(NodePortAddresses.SettingError) {
            return try NodePortAddresses.parse(texts)
        } catch {
            throw ValidationError("--nodeport-addresses: \(error)")
        }
    }

    private func networks(_ text: String, of flag: String) throws -> [IPNetwork] {
        try text.split(separator: ",").map { part in
            let part = part.trimmingCharacters(in: .whitespaces)
            guard let network = IPNetwork(part) else {
                throw ValidationError("\(flag): '\(part)' is not a CIDR.")
            }
            return network
        }
    }

    /// Names of interfaces: 1 to 15 bytes (`IFNAMSIZ`), no slash and no white space.
    private func interface(_ name: String?, of flag: String, for mode: String) throws -> String {
        guard let name else { throw ValidationError("Mode \(mode) needs \(flag).") }
        guard (1...15).contains(name.utf8.count),
            name.utf8.allSatisfy({
                $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "\"")
                    && $0 != UInt8(ascii: "*")
            })
        else { throw ValidationError("\(flag): '\(name)' is not a name of an interface.") }
        return name
    }
}
