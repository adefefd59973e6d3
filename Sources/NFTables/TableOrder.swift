/// The order in which printers go through a table, so that equal tables print equally.
enum TableOrder {
    /// Digits count as numbers: `slots-2` comes before `slots-10`.
    static func naturallyPrecedes(_ a: String, _ b: String) -> Bool {
        var left = a.utf8.makeIterator()
        var right = b.utf8.makeIterator()
        var l = left.next()
        var r = right.next()
        while let x = l, let y = r {
            if let m = digit(x), let n = digit(y) {
                var p = m
                var q = n
                l = left.next()
                r = right.next()
                while let d = l.flatMap(digit) {
                    p = p &* 10 &+ d
                    l = left.next()
                }
                while let d = r.flatMap(digit) {
                    q = q &* 10 &+ d
                    r = right.next()
                }
                if p != q { return p < q }
            } else {
                if x != y { return x < y }
                l = left.next()
                r = right.next()
            }
        }
        if l == nil && r == nil { return a < b }
        return l == nil
    }

    private static func digit(_ byte: UInt8) -> UInt64? {
        (48...57).contains(byte) ? UInt64(byte - 48) : nil
    }

    /// Sets in natural order of their names.
    static func sets(of table: Table) -> [NamedSet] {
        table.sets.values.sorted { naturallyPrecedes($0.name, $1.name) }
    }

    /// Chains in natural order of their names, base chains last.
    static func chains(of table: Table) -> [Chain] {
        table.chains.values.sorted {
            ($0.base == nil) == ($1.base == nil) ? naturallyPrecedes($0.name, $1.name) : $0.base == nil
        }
    }

    /// The positions of the elements in order of their keys; in place of a sorted copy, which would hold every
    /// element twice.
    static func positions(of elements: [Element], in set: NamedSet) -> [Int32] {
        let isNumber =
            set.key.types.count == 1 && set.key.types.first?.isHostByteOrder == true
            && set.key.length == 4
        func precedes(_ i: Int32, _ j: Int32) -> Bool {
            let a = elements[Int(i)]
            let b = elements[Int(j)]
            if isNumber {
                let (x, y) = (a.key.hostNumber, b.key.hostNumber)
                if x != y { return x < y }
            } else if a.key != b.key {
                return a.key < b.key
            }
            // An interval that ends where the next begins comes first.
            return a.isIntervalEnd && !b.isIntervalEnd
        }
        let all = elements.indices.map(Int32.init)
        return zip(all, all.dropFirst()).contains { precedes($1, $0) } ? all.sorted(by: precedes) : all
    }

    /// An element that a printer shows: in an interval set, with the last key of its interval.
    struct Entry {
        var position: Int
        var last: RegisterValue?
    }

    /// Calls `body` for each element in order; each pair of interval borders is one.
    static func forEachEntry(of elements: [Element], in set: NamedSet, _ body: (Entry) -> Void) {
        let positions = positions(of: elements, in: set)
        guard set.flags.contains(.interval) else {
            for position in positions { body(Entry(position: Int(position), last: nil)) }
            return
        }
        var open: Int?
        for position in positions.map(Int.init) {
            let element = elements[position]
            if let begin = open {
                body(Entry(position: begin, last: element.key.predecessor))
                open = nil
            }
            if !element.isIntervalEnd { open = position }
        }
        if let begin = open {
            let last = RegisterValue(repeatElement(0xff, count: elements[begin].key.count))
            body(Entry(position: begin, last: last))
        }
    }
}

extension RegisterValue {
    /// The number before this one, in network byte order.
    var predecessor: RegisterValue {
        var bytes = self.bytes
        for i in bytes.indices.reversed() {
            bytes[i] &-= 1
            if bytes[i] != 0xff { break }
        }
        return RegisterValue(bytes)
    }

    /// The number after this one, in network byte order; nil after the last.
    var successor: RegisterValue? {
        var bytes = self.bytes
        for i in bytes.indices.reversed() {
            bytes[i] &+= 1
            if bytes[i] != 0 { return RegisterValue(bytes) }
        }
        return nil
    }

    /// The length of the prefix that goes from `self` to `last`; nil when the range is no prefix.
    func prefixLength(to last: RegisterValue) -> Int? {
        guard last.count == count else { return nil }
        let differing = RegisterValue((0..<count).lazy.map { ~(self[$0] ^ last[$0]) })
        guard let bits = differing.prefixBits else { return nil }
        let host = RegisterValue.mask(bits: bits, length: count)
        return (0..<count).allSatisfy { self[$0] & ~host[$0] == 0 } ? bits : nil
    }
}

extension Element {
    /// The elements of an interval set as nft makes them: a begin and an end for each range, sorted, and the
    /// end of nothing at the lowest key where no range begins there.
    ///
    /// - Parameter ranges: first and last key, both included, in network byte order; they don't overlap.
    public static func intervals(_ ranges: [(first: RegisterValue, last: RegisterValue)]) -> [Element] {
        var elements: [Element] = []
        let sorted = ranges.sorted { $0.first < $1.first }
        if let lowest = sorted.first?.first, !lowest.isZero {
            let zero = RegisterValue(repeatElement(0, count: lowest.count))
            elements.append(Element(zero, isIntervalEnd: true))
        }
        for range in sorted {
            elements.append(Element(range.first))
            if let end = range.last.successor { elements.append(Element(end, isIntervalEnd: true)) }
        }
        return elements
    }

    /// Like `intervals`, from addresses in network byte order and prefix lengths in bits.
    public static func prefixes(_ prefixes: [(address: RegisterValue, length: Int)]) -> [Element] {
        intervals(
            prefixes.map { prefix in
                let mask = RegisterValue.mask(bits: prefix.length, length: prefix.address.count)
                let bytes = (0..<prefix.address.count).lazy
                return (
                    RegisterValue(bytes.map { prefix.address[$0] & mask[$0] }),
                    RegisterValue(bytes.map { prefix.address[$0] | ~mask[$0] })
                )
            })
    }
}
