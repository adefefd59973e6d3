import IPAddressing
import SeededRandom
import ServiceModel
import Testing

@testable import Ruleset

@Suite("The order of a pool's slots")
struct SlotOrderTests {
    private static func members(_ numbers: some Sequence<Int>) -> [PoolEndpoint] {
        numbers.map {
            PoolEndpoint(AddressPort(IPAddress(ipv4: 0x0af4_0000 + UInt32($0)), 80), isHairpin: $0 % 2 == 0)
        }
    }

    @Test("survivors keep their slots, and newcomers fill the holes")
    func survivors() {
        let before = Self.members([1, 2, 3, 4])
        let after = SlotOrder.arrange(Self.members([4, 9, 3, 1]), before: before.map(\.target), seed: 7)
        #expect(after == Self.members([1, 9, 3, 4]))
    }

    @Test("a pool that shrinks moves only those that lie behind its end")
    func shrinking() {
        let before = Self.members([1, 2, 3, 4]).map(\.target)
        #expect(
            SlotOrder.arrange(Self.members([1, 2, 4]), before: before, seed: 7) == Self.members([1, 2, 4]))
        #expect(SlotOrder.arrange(Self.members([4]), before: before, seed: 7) == Self.members([4]))
    }

    @Test("the order doesn't depend on the order of asking, and differs from node to node")
    func seeds() {
        let endpoints = Self.members(1...20)
        let orders = (0..<10).map { SlotOrder.arrange(endpoints, before: [], seed: $0) }
        #expect(orders[3] == SlotOrder.arrange(endpoints.reversed(), before: [], seed: 3))
        #expect(Set(orders).count == 10)
        #expect(Set(orders.map { $0[0] }).count > 1, "not all nodes begin with one endpoint")
    }

    @Test("whatever changes, nobody moves who need not, and nobody is lost")
    func random() {
        for seed in UInt64(1)...400 {
            var random = SeededGenerator(seed: seed)
            var order: [PoolEndpoint] = []
            for _ in 0..<20 {
                let wanted = Self.members((0..<30).filter { _ in random.once(in: 3) })
                let before = order.map(\.target)
                order = SlotOrder.arrange(wanted.shuffled(using: &random), before: before, seed: seed)
                #expect(Set(order) == Set(wanted), "seed \(seed)")
                #expect(order.count == wanted.count, "seed \(seed)")
                // Elements to write: the slots of those who left, and of those behind the new end.
                let targets = Set(wanted.map(\.target))
                for (slot, target) in before.prefix(order.count).enumerated() where targets.contains(target) {
                    #expect(order[slot].target == target, "seed \(seed)")
                }
            }
        }
    }
}

@Suite("Regions of slot maps")
struct SlotAllocatorTests {
    @Test("maps are filled one after the other, 16 regions each while there are few")
    func filling() {
        var allocator = SlotAllocator()
        let regions = (0..<130).map { _ in allocator.allocate() }
        #expect(Set(regions).count == 130)
        #expect(regions.map(\.map) == (0..<130).map { $0 / 16 })
        #expect(allocator.maps == Array(0...8))
        #expect(regions[1].offset == 65_536)
        #expect(SlotRegion(map: 4, slot: regions[70].offset + 65_535) == regions[70])
    }

    @Test("once there are 512 maps they are filled further, and only then come more")
    func fillingFurther() {
        var allocator = SlotAllocator()
        let regions = (0..<512 * 64 + 1).map { _ in allocator.allocate() }
        #expect(Set(regions).count == regions.count)
        #expect(regions[512 * 16].map == 0 && regions[512 * 32].map == 0)
        #expect(regions.dropLast().allSatisfy { $0.map < 512 })
        #expect(regions.last == SlotRegion(map: 512, index: 0))
    }

    @Test("what is given back is given out again, and a map without regions goes")
    func releasing() {
        var allocator = SlotAllocator()
        let regions = (0..<130).map { _ in allocator.allocate() }
        allocator.release(regions[5])
        let again = allocator.allocate()
        #expect(again == regions[5])
        for region in regions[..<16] { allocator.release(region) }
        #expect(allocator.maps == Array(1...8))
        #expect(!allocator.isUsed(0))
        let next = allocator.allocate()
        #expect(next.map == 0)
    }

    @Test("a region is reserved once, and only if it is one")
    func reserving() {
        var allocator = SlotAllocator()
        let asked = [(0, 0), (0, 0), (0, 64), (-1, 0), (1_000_000_000, 63)]
        let answers = asked.map { allocator.reserve(SlotRegion(map: $0.0, index: $0.1)) }
        #expect(answers == [true, false, false, false, true])
        let next = allocator.allocate()
        #expect(next == SlotRegion(map: 0, index: 1))
    }

    @Test("no region is ever held twice")
    func random() {
        for seed in UInt64(1)...100 {
            var random = SeededGenerator(seed: seed)
            var allocator = SlotAllocator()
            var held: Set<SlotRegion> = []
            for _ in 0..<400 {
                switch random.number(0...4) {
                case 0...2:
                    let isNew = held.insert(allocator.allocate()).inserted
                    #expect(isNew, "seed \(seed)")
                case 3:
                    guard let region = held.randomElement(using: &random) else { continue }
                    held.remove(region)
                    allocator.release(region)
                default:
                    let region = SlotRegion(map: random.number(0...6), index: random.number(0...63))
                    let isNew = held.insert(region).inserted
                    let isReserved = allocator.reserve(region)
                    #expect(isReserved == isNew, "seed \(seed)")
                }
                #expect(Set(allocator.maps) == Set(held.map(\.map)), "seed \(seed)")
            }
        }
    }
}
