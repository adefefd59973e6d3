import IPAddressing

/// How much one table holds, for metrics.
public struct RulesetContents: Sendable, Equatable {
    /// Chains that lead to endpoints, or elements that do so without one.
    public internal(set) var pools = 0
    /// Elements of slot maps.
    public internal(set) var slotsUsed = 0
    /// Regions of slot maps that are given out, one for each pool of more than one endpoint.
    public internal(set) var slotRegions = 0
    public internal(set) var affinityMaps = 0

    mutating func count(_ service: CompiledService, _ family: AddressFamily, _ step: Int) {
        for port in service.ports where port.family == family {
            for pool in port.pools {
                pools += step
                if pool.region != nil {
                    slotRegions += step
                    slotsUsed += step * pool.members.count
                }
                if pool.affinityTimeout != nil { affinityMaps += step * pool.targetPorts.count }
            }
        }
    }
}
