import Agent
import HostNetwork
import IPAddressing
import KubernetesAPI
import NFTables
import Ruleset
import Testing

@Suite struct ProxySettingsTests {
    @Test("the operator's masqueradeBit is the mark that interface modes use", arguments: [0, 14, 31])
    func masqueradeBit(bit: Int) {
        let settings = ProxySettings(
            nodeName: "node", localMode: .bridgeInterface("cbr0"), masqueradeBit: bit)
        var compiler = RulesetCompiler(nodeName: settings.nodeName, settings: settings.ruleset)
        _ = compiler.update(environment: Planner(settings: settings).environment)
        let text = NFTText.text(of: compiler.table(.ipv4))
        let digits = String(UInt32(1) << UInt32(bit), radix: 16)
        let mark = "0x" + String(repeating: "0", count: 8 - digits.count) + digits
        #expect(text.contains("meta mark set meta mark | \(mark)"), "\(text)")
        // The same bit is looked at where it counts, and no other one anywhere.
        #expect(text.ranges(of: mark).count > 1, "\(text)")
        #expect(bit == 14 || !text.contains("0x00004000"))
    }

    @Test("bindAddress goes before the Node's own address of its family")
    func primaryAddress() throws {
        let (own, other) = (try #require(IPAddress("192.0.2.1")), try #require(IPAddress("192.0.2.2")))
        let six = try #require(IPAddress("2001:db8::1"))
        func served(_ settings: ProxySettings) -> [IPAddress] {
            var planner = Planner(settings: settings)
            planner.apply([.node(Node(name: "node", addresses: [own, six]))])
            return planner.environment.nodePortAddresses
        }
        #expect(served(ProxySettings(nodeName: "node")) == [own, six])
        #expect(served(ProxySettings(nodeName: "node", primaryAddress: other)) == [other, six])
    }
}
