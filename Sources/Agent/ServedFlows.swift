import Conntrack
import IPAddressing
import KubernetesAPI
import ServiceModel

/// Which UDP flows are right, kept up to date Service by Service.
///
/// TCP and SCTP connections end by themselves when their endpoint does; a UDP flow goes on for as long as its client
/// sends, to an endpoint that is gone or past a Service that has come.
struct ServedFlows: Sendable {
    /// What one Service adds.
    private struct Share: Sendable, Equatable {
        var services: [AddressPort: Set<AddressPort>] = [:]
        var nodePorts: [NodePort: Set<AddressPort>] = [:]
    }

    private struct NodePort: Hashable, Sendable {
        let family: AddressFamily
        let port: UInt16
    }

    private var shares: [ObjectName: Share] = [:]
    private var nodeAddresses: Set<IPAddress> = []

    /// - Returns: whether a flow that was right may be wrong now, or the other way round.
    mutating func update(
        _ plans: [(name: ObjectName, plan: ServicePlan?)], nodeAddresses: [IPAddress]
    ) -> Bool {
        var isChanged = false
        for (name, plan) in plans {
            var share = Share()
            for port in plan?.ports ?? [] where port.id.transport == .udp {
                for frontend in port.frontends {
                    if let address = frontend.address {
                        share.services[AddressPort(address, frontend.port)] = port.serving
                    } else {
                        share.nodePorts[NodePort(family: port.family, port: frontend.port)] = port.serving
                    }
                }
            }
            let new = share == Share() ? nil : share
            guard shares[name] != new else { continue }
            shares[name] = new
            isChanged = true
        }
        let addresses = Set(nodeAddresses)
        if addresses != self.nodeAddresses {
            self.nodeAddresses = addresses
            isChanged = isChanged || shares.values.contains { !$0.nodePorts.isEmpty }
        }
        return isChanged
    }

    /// What a cleanup is to find right.
    var cleanup: UDPCleanup {
        var live: [AddressFamily: UDPCleanup.Live] = [:]
        for family in AddressFamily.allCases {
            live[family] = UDPCleanup.Live(nodeAddresses: nodeAddresses.filter { $0.family == family })
        }
        for share in shares.values {
            for (address, endpoints) in share.services {
                live[address.address.family]?.services[address] = endpoints
            }
            for (nodePort, endpoints) in share.nodePorts {
                live[nodePort.family]?.nodePorts[nodePort.port] = endpoints
            }
        }
        return UDPCleanup(live: live)
    }
}
