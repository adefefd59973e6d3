import Foundation
import HostProcess
import TestNetwork
import Testing

@Suite("Scratch networks", .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)))
struct ScratchNetworkTests {
    @Test("a scratch network is none that was there, and its thread's alone")
    func scratchNetwork() throws {
        func here() -> String? {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self/ns/net")
        }
        let before = here()
        let inside = try ScratchNetwork.run { here() }
        #expect(inside != nil)
        #expect(inside != before)
        #expect(here() == before)
    }
}
