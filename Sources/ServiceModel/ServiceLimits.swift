import KubernetesAPI

/// How much one Service may ask of the kernel.
///
/// An API server bounds an object's bytes, not what follows from it: a Service of 1.5 MiB can name 50,000 external IPs and
/// 500 ports, together 25 million elements on every node. So whoever may write a few Services can't fill the memory of
/// nodes; how many there may be is for a ResourceQuota.
enum ServiceLimits {
    /// Addresses times ports, and source ranges times ports. A media server of 10,000 ports has room for six addresses.
    static let frontends = 1 << 16
    /// Endpoints times ports, in one family: more than 250,000, four times as many as one port can have.
    static let endpoints = 1 << 18
    /// Addresses and ports that another Service has, told one by one; what is more is told as that.
    static let tellings = 16
}

extension Service {
    /// The Service as far as it is served, and what of it is not.
    func limited(servesExternalIPs: Bool) -> (service: Service, problems: [ObjectProblem]) {
        var service = self
        var problems: [ObjectProblem] = []
        func report(_ field: String, _ message: String) {
            problems.append(
                ObjectProblem(subject: .object(.service(name)), field: field, message: message))
        }
        func cut<T>(_ list: inout [T], to count: Int, _ field: String) {
            guard list.count > count else { return }
            list = Array(list.prefix(count))
            report(
                field,
                "more than \(ServiceLimits.frontends) together with the ports; the first \(count) are served")
        }
        if !servesExternalIPs, !externalIPs.isEmpty {
            service.externalIPs = []
            report("spec.externalIPs", "not served: the feature gate AllowServiceExternalIPs is off")
        }
        // Room for a cluster IP of each family.
        cut(&service.ports, to: ServiceLimits.frontends / 2, "spec.ports")
        let room = ServiceLimits.frontends / max(1, service.ports.count)
        var rest = max(0, room - clusterIPs.count)
        cut(&service.loadBalancerIPs, to: rest, "status.loadBalancer.ingress")
        rest -= service.loadBalancerIPs.count
        cut(&service.externalIPs, to: rest, "spec.externalIPs")
        if var ranges = service.sourceRanges {
            cut(&ranges, to: room, "spec.loadBalancerSourceRanges")
            // What is left out lets nobody in, also where no range of a family is left.
            if ranges.count < service.sourceRanges?.count ?? 0 { service.hasUnreadableSourceRanges = true }
            service.sourceRanges = ranges
        }
        return (service, problems)
    }
}
