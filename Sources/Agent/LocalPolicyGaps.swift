import IPAddressing
import KubernetesAPI
import ServiceModel

/// The service ports whose traffic this node drops, since their policy is Local and their endpoints are elsewhere
/// (`no_local_endpoints`), kept up to date Service by Service.
struct LocalPolicyGaps: Sendable {
    struct Count: Sendable, Equatable {
        /// By `internalTrafficPolicy`.
        var internalPorts = 0
        /// By `externalTrafficPolicy`.
        var externalPorts = 0
    }

    private var totals: [AddressFamily: Count] = [:]
    private var shares: [ObjectName: [AddressFamily: Count]] = [:]

    subscript(_ family: AddressFamily) -> Count { totals[family] ?? Count() }

    mutating func update(_ plans: [(name: ObjectName, plan: ServicePlan?)]) {
        for (name, plan) in plans {
            add(shares.removeValue(forKey: name) ?? [:], -1)
            var share: [AddressFamily: Count] = [:]
            for port in plan?.ports ?? [] where port.local == .drop {
                let local = port.frontends.filter { $0.policy == .local }
                if local.contains(where: { !$0.isExternal }) {
                    share[port.family, default: Count()].internalPorts += 1
                }
                if local.contains(where: \.isExternal) {
                    share[port.family, default: Count()].externalPorts += 1
                }
            }
            guard !share.isEmpty else { continue }
            add(share, 1)
            shares[name] = share
        }
    }

    private mutating func add(_ share: [AddressFamily: Count], _ step: Int) {
        for (family, count) in share {
            totals[family, default: Count()].internalPorts += step * count.internalPorts
            totals[family, default: Count()].externalPorts += step * count.externalPorts
        }
    }
}
