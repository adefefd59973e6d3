/// Where a pool's slots lie: which map, and which region of it.
struct SlotRegion: Hashable, Sendable {
    let map: Int
    /// 0 ..< 64
    let index: Int

    /// The number of the first slot.
    var offset: UInt32 { UInt32(index) << 16 }

    /// Slots that a region has, so endpoints that a pool can have.
    static let capacity = 1 << 16

    /// The region that a slot number of a map lies in.
    init(map: Int, slot: UInt32) {
        self.map = map
        index = Int(slot >> 16)
    }

    init(map: Int, index: Int) {
        self.map = map
        self.index = index
    }
}

/// Hands out regions of slot maps.
///
/// An element that is added walks all rules that bind its map, and a rule that binds a map walks all of its elements,
/// so a map had better serve few pools; but looking a map up by name walks all maps of the table, so there must not be
/// many. At 5,006 pools of 50 endpoints, 16 pools a map took the kernel 0.48 s to commit and 64 took 0.69 s; at
/// 44,128 pools of 6, 16 took 3.1 s and 64 took 2.1 s. Hence 16 a map until there are 512 maps, then twice as many.
///
/// A region is wide enough for the largest pool, so a pool never moves while it grows.
struct SlotAllocator: Sendable {
    static let regionsPerMap = 64
    /// As many maps as there may be before they are filled further.
    static let mapGoal = 512
    /// How far maps are filled, one after the other, while there are fewer than `mapGoal`.
    private static let widths = [16, 32, 64]

    /// One bit a region, by map.
    private var used: [Int: UInt64] = [:]
    /// No map below this one has a free region, by width.
    private var firstWithRoom = Array(repeating: 0, count: widths.count)

    /// Maps that came to have pools, or to have none, since `settle`; whether they had any before.
    private var touched: [Int: Bool] = [:]

    /// The maps that have pools.
    var maps: [Int] { used.keys.sorted() }

    /// The maps that have come and gone since the last call.
    mutating func settle() -> (came: [Int], went: [Int]) {
        guard !touched.isEmpty else { return ([], []) }
        defer { touched = [:] }
        let changed = touched.filter { used[$0.key] != nil ? !$0.value : $0.value }
        return (
            changed.keys.filter { used[$0] != nil }.sorted(), changed.keys.filter { used[$0] == nil }.sorted()
        )
    }

    private mutating func set(_ bits: UInt64, of map: Int) {
        let wasThere = used[map] != nil
        used[map] = bits == 0 ? nil : bits
        if wasThere != (bits != 0), touched[map] == nil { touched[map] = wasThere }
    }

    func isUsed(_ map: Int) -> Bool { used[map] != nil }

    mutating func allocate() -> SlotRegion {
        for (level, width) in Self.widths.enumerated() {
            var map = firstWithRoom[level]
            while let bits = used[map], bits.nonzeroBitCount >= width { map += 1 }
            firstWithRoom[level] = map
            guard map < Self.mapGoal || width == Self.regionsPerMap else { continue }
            let bits = used[map] ?? 0
            let index = (~bits).trailingZeroBitCount
            set(bits | 1 << UInt64(index), of: map)
            return SlotRegion(map: map, index: index)
        }
        preconditionFailure("behind the last map there is always room")
    }

    /// Takes a region that was in use before; false when it is taken or isn't one.
    mutating func reserve(_ region: SlotRegion) -> Bool {
        guard region.map >= 0, (0..<Self.regionsPerMap).contains(region.index) else { return false }
        let bit: UInt64 = 1 << UInt64(region.index)
        let bits = used[region.map] ?? 0
        guard bits & bit == 0 else { return false }
        set(bits | bit, of: region.map)
        return true
    }

    mutating func release(_ region: SlotRegion) {
        guard let bits = used[region.map] else { return }
        set(bits & ~(1 << UInt64(region.index)), of: region.map)
        for level in firstWithRoom.indices { firstWithRoom[level] = min(firstWithRoom[level], region.map) }
    }
}
