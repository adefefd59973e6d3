import IPAddressing
import NFTables
import Testing

@testable import Ruleset

@Suite("Packet marks")
struct PacketMarkTests {
    private func marks(_ settings: RulesetSettings) -> [String: Int] {
        let compiler = RulesetCompiler(nodeName: "node", settings: settings)
        var counts: [String: Int] = [:]
        for chain in compiler.table(.ipv4).chains.values {
            for rule in chain.rules {
                for case .setMeta(.mark, _) in rule.expressions { counts[chain.name, default: 0] += 1 }
            }
        }
        return counts
    }

    @Test("are set and taken off again where an interface tells pods")
    func interface() {
        #expect(marks(RulesetSettings(localDetection: .interface(name: "cbr0"))).values.reduce(0, +) == 2)
        #expect(marks(RulesetSettings(localDetection: .interfacePrefix("veth"))).values.reduce(0, +) == 2)
    }

    @Test("are not needed where all is masqueraded, or addresses tell pods: no packet leaves with one")
    func none() {
        for detection in [LocalDetection.interface(name: "cbr0"), .interfacePrefix("veth"), .networks] {
            #expect(marks(RulesetSettings(localDetection: detection, masqueradeAll: true)).isEmpty)
        }
        #expect(marks(RulesetSettings(localDetection: .networks)).isEmpty)
        #expect(marks(RulesetSettings()).isEmpty)
    }
}
