import FakeKernel
import IPAddressing
import KubernetesAPI
import NFTables
import Ruleset
import Testing

@testable import Agent

/// What is counted along with each change, against what is there.
@Suite("How much the tables hold")
struct ContentsTests {
    @Test("counts that follow each change are those of the whole", arguments: 1...20 as ClosedRange<UInt64>)
    func counts(seed: UInt64) throws {
        var cluster = RandomCluster(seed: seed)
        var planner = Planner(settings: ProxySettings(nodeName: "node"))
        let writer = RulesetWriter(settings: ProxySettings(nodeName: "node"), kernel: FakeNFTables())
        var most = 0
        for step in 0..<40 {
            let place = Testing.Comment(rawValue: "seed \(seed), step \(step)")
            planner.apply(cluster.change())
            _ = try writer.write(planner.step().plans, environment: planner.environment)
            let endpoints = cluster.objects.values.reduce(0) { count, object in
                guard case .endpointSlice(let slice) = object else { return count }
                return count + slice.endpoints.count
            }
            #expect(planner.endpointCount == endpoints, place)
            for family in AddressFamily.allCases {
                let table = writer.wantedTable(family)
                let contents = writer.contents(family)
                func elements(_ set: (String) -> Bool) -> [Element] {
                    table.elements.filter { set($0.key) }.flatMap(\.value)
                }
                #expect(contents.slotsUsed == elements { $0.hasPrefix("slots-") }.count, place)
                #expect(
                    contents.affinityMaps
                        == table.sets.keys.count { $0.hasPrefix("affinity-") && $0.contains("/") }, place)
                #expect(contents.slotRegions <= contents.pools && contents.pools >= 0, place)
                most = max(most, contents.slotsUsed)
            }
        }
        #expect(most > 0, "seed \(seed)")
    }
}
