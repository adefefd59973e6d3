/// In which order things are measured: forwards in one round and backwards in the next (A B B A), so that a machine that
/// grows slower or faster treats all alike; and each pair of rounds begins with another one.
enum Rotation {
    static func order(of count: Int, round: Int) -> [Int] {
        guard count > 0 else { return [] }
        let order = (0..<count).map { ($0 + round / 2) % count }
        return round % 2 == 0 ? order : order.reversed()
    }
}
