import IPAddressing
import PacketCases
import TestNetwork
import Testing

/// Every case in the simulator, and every case in the kernel: what only one of them says is worth nothing.
@Suite("The fates of packets")
struct FateTests {
    @Test("in the simulator", arguments: PacketCase.all)
    func simulated(packetCase: PacketCase) throws {
        // As on a kernel that knows `destroy element`, and on one that doesn't.
        for canDestroyElements in [true, false] {
            let world = try SimulatedWorld(
                packetCase.setting, canDestroyElements: canDestroyElements)
            let observations = try world.play(packetCase, firstPort: 10_000)
            #expect(observations.count == packetCase.steps.count)
            FateTests.judge(observations, of: packetCase)
        }
    }

    @Test("no two cases have the same name, and each names a statement")
    func names() {
        #expect(Set(PacketCase.all.map(\.name)).count == PacketCase.all.count)
        #expect(PacketCase.all.allSatisfy { $0.name.wholeMatch(of: /statement \d+(, \d+)*: .+/) != nil })
    }

    /// Records what differs from what the case expects.
    static func judge(_ observations: [[Observation]], of packetCase: PacketCase) {
        var judge = FateJudge(packetCase.setting)
        for (number, (step, observations)) in zip(packetCase.steps, observations).enumerated() {
            guard case .connect(let step) = step else { continue }
            for problem in judge.problems(of: observations, in: step) {
                Issue.record("step \(number + 1): \(problem)")
            }
        }
    }
}

/// One network for all, and one case after the other in it.
@Suite(
    "The fates of packets in the kernel",
    .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)), .serialized, SharedNetwork())
struct KernelFateTests {
    @Test(
        "in the kernel, and in the simulator likewise",
        arguments: PacketCase.all.filter { !$0.setting.isBridged }
    )
    func real(packetCase: PacketCase) throws { try Self.play(packetCase) }

    static func play(_ packetCase: PacketCase) throws {
        let network = try #require(KernelNetwork.current)
        let port = network.takePorts(packetCase.connectionCount)
        let real = try KernelWorld(network, packetCase.setting).play(packetCase, firstPort: port)
        FateTests.judge(real, of: packetCase)
        let simulated = try SimulatedWorld(packetCase.setting).play(packetCase, firstPort: port)
        for (number, (real, simulated)) in zip(real, simulated).enumerated() {
            for (real, simulated) in zip(real, simulated) where !real.isLike(simulated) {
                Issue.record("step \(number + 1): \(real); the simulator: \(simulated)")
            }
        }
    }

    @Test("the hosts have the addresses that the cases give them", arguments: Place.allCases)
    func addresses(place: Place) throws {
        let host = KernelNetwork.host(place, of: try #require(KernelNetwork.current).cluster)
        #expect(host.addresses == AddressFamily.allCases.map(place.address))
        let node = place == .far ? Place.otherNodeName : Place.nodeName
        #expect(host.node == (place == .outside ? nil : node))
    }
}

/// The same where the pods of a node share a bridge.
@Suite(
    "The fates of packets in the kernel, pods bridged",
    .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)), .serialized,
    SharedNetwork(isBridged: true))
struct BridgedKernelFateTests {
    @Test(
        "in the kernel, and in the simulator likewise", arguments: PacketCase.all.filter(\.setting.isBridged))
    func real(packetCase: PacketCase) throws { try KernelFateTests.play(packetCase) }
}
