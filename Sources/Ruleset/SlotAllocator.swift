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
/// Binding a map to a rule walks all elements of the map, so a map serves few pools; and looking a map up by name
/// walks all maps of the table, so there must not be many. 64 pools a map keeps both short. A region is wide enough
/// for the largest pool, so a pool never moves while it grows.
struct SlotAllocator: Sendable {
    static let regionsPerMap = 64

    /// One bit a region, by map.
    private var used: [Int: UInt64] = [:]
    /// No map below this one has a free region.
    private var firstWithRoom = 0

    /// The maps that have pools.
    var maps: [Int] { used.keys.sorted() }

    func isUsed(_ map: Int) -> Bool { used[map] != nil }

    mutating func allocate() -> SlotRegion {
        while let bits = used[firstWithRoom], bits == .max { firstWithRoom += 1 }
        let bits = used[firstWithRoom] ?? 0
        let index = (~bits).trailingZeroBitCount
        used[firstWithRoom] = bits | 1 << UInt64(index)
        return SlotRegion(map: firstWithRoom, index: index)
    }

    /// Takes a region that was in use before; false when it is taken or isn't one.
    mutating func reserve(_ region: SlotRegion) -> Bool {
        guard region.map >= 0, (0..<Self.regionsPerMap).contains(region.index) else { return false }
        let bit: UInt64 = 1 << UInt64(region.index)
        let bits = used[region.map] ?? 0
        guard bits & bit == 0 else { return false }
        used[region.map] = bits | bit
        return true
    }

    mutating func release(_ region: SlotRegion) {
        guard let bits = used[region.map] else { return }
        let left = bits & ~(1 << UInt64(region.index))
        used[region.map] = left == 0 ? nil : left
        firstWithRoom = min(firstWithRoom, region.map)
    }
}
