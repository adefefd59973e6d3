/// In which order things are measured: shuffled anew for each pair of rounds, so that nobody always comes behind the same
/// one, and forwards in one round and backwards in the next (A B B A), so that a machine that grows slower or faster
/// treats all alike. The same in each run.
enum Rotation {
    static func order(of count: Int, round: Int) -> [Int] {
        var state = UInt64(round / 2) &* 0x9e37_79b9_7f4a_7c15
        var order = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) {
            // splitmix64
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
            order.swapAt(last, Int((value ^ value >> 31) % UInt64(last + 1)))
        }
        return round % 2 == 0 ? order : order.reversed()
    }
}
