import NFTables

/// The type-length-value lists that nft keeps in the `userdata` of objects; the kernel stores them unread.
///
/// Each entry is one byte of type, one byte of length, and the value. Numbers are 32 bits in host byte order
/// (libnftnl `udata.c`). nft needs them to print comments, byte orders and `typeof` declarations.
struct Userdata: Sendable, Equatable {
    private(set) var bytes: [UInt8] = []

    init() {}

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func append(type: UInt8, _ value: [UInt8]) {
        precondition(value.count <= 255, "an entry of userdata holds 255 bytes at most")
        bytes.append(type)
        bytes.append(UInt8(value.count))
        bytes += value
    }

    mutating func append(type: UInt8, _ value: UInt32) {
        append(type: type, withUnsafeBytes(of: value) { Array($0) })
    }

    /// Appends a comment in the form that nft can read and print again.
    mutating func append(type: UInt8, comment: String) {
        append(type: type, Array(Comment.sanitized(comment).utf8) + [0])
    }

    /// The entries in order; nil when the bytes aren't such a list.
    var entries: [(type: UInt8, value: ArraySlice<UInt8>)]? {
        var result: [(UInt8, ArraySlice<UInt8>)] = []
        var rest = bytes[...]
        while rest.count >= 2 {
            let length = Int(rest[rest.startIndex + 1])
            let start = rest.startIndex + 2
            guard start + length <= rest.endIndex else { return nil }
            result.append((rest[rest.startIndex], rest[start..<start + length]))
            rest = rest[(start + length)...]
        }
        return rest.isEmpty ? result : nil
    }

    func value(_ type: UInt8) -> ArraySlice<UInt8>? {
        entries?.first { $0.type == type }?.value
    }

    func number(_ type: UInt8) -> UInt32? {
        guard let value = value(type), value.count == 4 else { return nil }
        return value.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    func comment(_ type: UInt8) -> String? {
        guard let value = value(type) else { return nil }
        return String(decoding: value.prefix { $0 != 0 }, as: UTF8.self)
    }
}

// MARK: - Sets

extension Userdata {
    /// `NFTNL_UDATA_SET_*`.
    private enum SetEntry {
        static let keyByteOrder: UInt8 = 0
        static let dataByteOrder: UInt8 = 1
        static let keyTypeof: UInt8 = 3
        static let dataTypeof: UInt8 = 4
        static let dataInterval: UInt8 = 6
        static let comment: UInt8 = 7
    }

    /// What nft 1.0.6 writes for the set: later versions read it, while they write forms that crash earlier ones.
    init(set: NamedSet) {
        append(type: SetEntry.keyByteOrder, Self.byteOrder(of: set.key))
        if let data = set.data {
            var dataShape: Shape?
            if case .value(let shape) = data { dataShape = shape }
            append(type: SetEntry.dataByteOrder, dataShape.map(Self.byteOrder) ?? 0)
            if let typeof = set.key.typeof { append(type: SetEntry.keyTypeof, Self.encode(typeof)) }
            if let typeof = dataShape?.typeof { append(type: SetEntry.dataTypeof, Self.encode(typeof)) }
            append(type: SetEntry.dataInterval, 0)
        } else if let typeof = set.key.typeof {
            append(type: SetEntry.keyTypeof, Self.encode(typeof))
        }
        if let comment = set.comment { append(type: SetEntry.comment, comment: comment) }
    }

    var setComment: String? { comment(SetEntry.comment) }
    var keyTypeof: [SelectorExpression]? { value(SetEntry.keyTypeof).flatMap(Self.decode) }
    var dataTypeof: [SelectorExpression]? { value(SetEntry.dataTypeof).flatMap(Self.decode) }

    /// nft's `enum byteorder`: 0 unknown, 1 host, 2 big endian.
    private static func byteOrder(of shape: Shape) -> UInt32 {
        guard !shape.isConcatenation, let type = shape.types.first, type.length > 1 else { return 0 }
        return type.isHostByteOrder ? 1 : 2
    }

    /// nft's `enum expr_types` and `enum proto_desc_id`, as stored in a typeof declaration.
    private enum TypeofNumber {
        static let payload: UInt32 = 7
        static let concatenation: UInt32 = 13
        static let numgen: UInt32 = 23
        static let th: UInt32 = 11
        static let ip: UInt32 = 12
        static let ip6: UInt32 = 13
    }

    private static func encode(_ expressions: [SelectorExpression]) -> [UInt8] {
        guard expressions.count != 1, !expressions.isEmpty else {
            return expressions.first.map(encode)?.bytes ?? []
        }
        var fields = Userdata()
        for (index, expression) in expressions.enumerated() {
            fields.append(type: UInt8(index), encode(expression).bytes)
        }
        return typed(TypeofNumber.concatenation, fields).bytes
    }

    private static func typed(_ number: UInt32, _ details: Userdata) -> Userdata {
        var result = Userdata()
        result.append(type: 0, number)
        result.append(type: 1, details.bytes)
        return result
    }

    private static func encode(_ expression: SelectorExpression) -> Userdata {
        var details = Userdata()
        if case .numgenIncremental(let modulus) = expression {
            details.append(type: 0, 0)
            details.append(type: 1, modulus)
            details.append(type: 2, 0)
            return typed(TypeofNumber.numgen, details)
        }
        let (header, field) = payloadNumbers[expression] ?? (0, 0)
        details.append(type: 0, header)
        details.append(type: 1, field)
        return typed(TypeofNumber.payload, details)
    }

    /// Header and field numbers of nft's protocol descriptions.
    private static let payloadNumbers: [SelectorExpression: (header: UInt32, field: UInt32)] = [
        .ipSaddr: (TypeofNumber.ip, 11), .ipDaddr: (TypeofNumber.ip, 12),
        .ip6Saddr: (TypeofNumber.ip6, 8), .ip6Daddr: (TypeofNumber.ip6, 9),
        .thSport: (TypeofNumber.th, 1), .thDport: (TypeofNumber.th, 2),
    ]

    /// The expressions of a typeof declaration; nil for any that this library doesn't know.
    private static func decode(_ bytes: ArraySlice<UInt8>) -> [SelectorExpression]? {
        let outer = Userdata(bytes: Array(bytes))
        guard outer.number(0) == TypeofNumber.concatenation else {
            return decodeOne(outer).map { [$0] }
        }
        guard let inner = outer.value(1), let fields = Userdata(bytes: Array(inner)).entries, !fields.isEmpty
        else { return nil }
        var result: [SelectorExpression] = []
        for field in fields {
            guard let one = decodeOne(Userdata(bytes: Array(field.value))) else { return nil }
            result.append(one)
        }
        return result
    }

    private static func decodeOne(_ userdata: Userdata) -> SelectorExpression? {
        guard let value = userdata.value(1) else { return nil }
        let details = Userdata(bytes: Array(value))
        switch userdata.number(0) {
        case TypeofNumber.numgen:
            guard details.number(0) == 0, let modulus = details.number(1), details.number(2) == 0 else {
                return nil
            }
            return .numgenIncremental(modulus: modulus)
        case TypeofNumber.payload:
            guard let header = details.number(0), let field = details.number(1) else { return nil }
            return payloadNumbers.first { $0.value == (header, field) }?.key
        default:
            return nil
        }
    }
}
