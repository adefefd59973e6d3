import IPAddressing
import KubernetesAPI
import ServiceModel
import Testing

/// A large cluster has hundreds of thousands of these, so each byte of one is a quarter of a megabyte.
@Suite("What an endpoint takes in memory")
struct FootprintTests {
    @Test("an endpoint of a slice takes four words")
    func endpoint() {
        #expect(MemoryLayout<EndpointSlice.Endpoint>.stride <= 32)
    }

    @Test("a member of a pool takes three words")
    func member() {
        #expect(MemoryLayout<PoolEndpoint>.stride <= 24)
    }

    @Test("endpoints compare by what their placements say, shared or not")
    func placements() throws {
        let address = try #require(IPAddress("10.0.0.1"))
        let placement = Placement(nodeName: "a", zoneHints: ["z"], nodeHints: ["n"])
        let shared = EndpointSlice.Endpoint(address: address, placement: placement)
        var own = EndpointSlice.Endpoint(
            address: address, nodeName: "a", zoneHints: ["z"], nodeHints: ["n"])
        #expect(shared == own)
        #expect(shared.hashValue == own.hashValue)
        own.nodeName = "b"
        #expect(shared != own)
        #expect(shared.nodeName == "a")
        #expect(own.zoneHints == ["z"] && own.nodeHints == ["n"])
    }
}
