public import SeededRandom

extension SeededGenerator {
    /// One of them; there must be one.
    public mutating func pick<C: Collection>(_ choices: C) -> C.Element {
        guard let choice = choices.randomElement(using: &self) else { preconditionFailure("nothing to pick") }
        return choice
    }

    public mutating func bytes(_ count: ClosedRange<Int>) -> [UInt8] {
        (0..<number(count)).map { _ in UInt8.random(in: 0...255, using: &self) }
    }

    /// The bytes with one to `most` faults: bits, bytes and runs changed, cut out, doubled, put elsewhere; cut off; or
    /// one of `pieces` put in.
    public mutating func mutated(_ bytes: [UInt8], most: Int = 6, pieces: [String] = []) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<number(1...most) {
            let at = number(0...bytes.count)
            switch number(0...8) {
            case 0 where at < bytes.count: bytes[at] ^= 1 << UInt8(number(0...7))
            case 1 where at < bytes.count: bytes[at] = pick([0, 1, 0x7f, 0x80, 0xfe, 0xff])
            case 2 where at < bytes.count: bytes[at] = UInt8.random(in: 0...255, using: &self)
            case 3: bytes.removeSubrange(at..<min(bytes.count, at + number(0...20)))
            case 4:
                let end = min(bytes.count, at + number(0...60))
                bytes.insert(contentsOf: bytes[at..<end], at: number(0...bytes.count))
            case 5: bytes.insert(contentsOf: self.bytes(0...12), at: at)
            case 6 where once(in: 3): bytes.removeSubrange(at...)
            default:
                if pieces.isEmpty { continue }
                bytes.insert(contentsOf: pick(pieces).utf8, at: at)
            }
        }
        return bytes
    }
}
