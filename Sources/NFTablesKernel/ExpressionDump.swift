internal import CNetfilter
import NFTables
import Netlink

/// One element of `NFTA_RULE_EXPRESSIONS`: the instruction's name and its attributes.
struct ExpressionFields {
    let name: String?
    private let attributes: Attributes

    init(_ element: Attributes) {
        name = element.text(NFTA_EXPR_NAME.rawValue)
        attributes =
            element.find(NFTA_EXPR_DATA.rawValue)?.nested
            ?? Attributes(UnsafeRawBufferPointer(start: nil, count: 0))
    }

    func has(_ type: UInt32) -> Bool { attributes.find(type) != nil }

    /// A number, 0 where there is none, as the kernel leaves out what is 0; nil for what is no number.
    func number(_ type: UInt32) -> UInt32? {
        guard let attribute = attributes.find(type) else { return 0 }
        return attribute.number
    }

    func byte(_ type: UInt32) -> UInt8? {
        guard let payload = attributes.find(type)?.payload else { return 0 }
        return payload.count == 1 ? payload[0] : nil
    }

    func longNumber(_ type: UInt32) -> UInt64? {
        guard let attribute = attributes.find(type) else { return 0 }
        return attribute.longNumber
    }

    func register(_ type: UInt32) -> Register? {
        attributes.number(type).flatMap(Register.init(number:))
    }

    func text(_ type: UInt32) -> String? { attributes.text(type) }

    /// `NFTA_DATA_VALUE` of a nest.
    func value(_ type: UInt32) -> RegisterValue? {
        guard let bytes = attributes.find(type)?.nested.find(UInt32(NFTA_DATA_VALUE.rawValue))?.payload,
            bytes.count <= RegisterValue.maximumCount
        else { return nil }
        return RegisterValue(bytes)
    }

    /// `NFTA_DATA_VERDICT` of a nest.
    func verdict(_ type: UInt32) -> Verdict? {
        guard let nest = attributes.find(type)?.nested.find(UInt32(NFTA_DATA_VERDICT.rawValue))?.nested,
            let code = nest.number(UInt32(NFTA_VERDICT_CODE.rawValue))
        else { return nil }
        let chain = nest.text(UInt32(NFTA_VERDICT_CHAIN.rawValue))
        return Verdict(code: Int32(bitPattern: code), chain: chain)
    }
}

extension Expression {
    /// The value of an instruction; `.unsupported` with its name where this library has no value for it.
    init(_ fields: ExpressionFields) {
        let name = fields.name ?? "?"
        self = Self.decode(name, fields) ?? .unsupported(name)
    }

    private static func decode(_ name: String, _ fields: ExpressionFields) -> Self? {
        switch name {
        case "meta":
            guard let key = fields.number(NFTA_META_KEY.rawValue).flatMap(MetaKey.init(rawValue:)) else {
                return nil
            }
            if let register = fields.register(NFTA_META_SREG.rawValue) {
                return .setMeta(key, from: register)
            }
            return fields.register(NFTA_META_DREG.rawValue).map { .meta(key, into: $0) }
        case "payload":
            guard
                let base = fields.number(NFTA_PAYLOAD_BASE.rawValue).flatMap(PayloadBase.init(rawValue:)),
                let offset = fields.number(NFTA_PAYLOAD_OFFSET.rawValue),
                let length = fields.number(NFTA_PAYLOAD_LEN.rawValue),
                let register = fields.register(NFTA_PAYLOAD_DREG.rawValue)
            else { return nil }
            return .payload(base, offset: offset, length: length, into: register)
        case "ct":
            guard let key = fields.number(NFTA_CT_KEY.rawValue).flatMap(ConntrackKey.init(rawValue:)),
                let register = fields.register(NFTA_CT_DREG.rawValue)
            else { return nil }
            var direction: Direction?
            if fields.has(NFTA_CT_DIRECTION.rawValue) {
                direction = fields.byte(NFTA_CT_DIRECTION.rawValue).flatMap(Direction.init(rawValue:))
                if direction == nil { return nil }
            }
            return .conntrack(key, direction: direction, into: register)
        case "fib":
            guard let result = fields.number(NFTA_FIB_RESULT.rawValue).flatMap(FIBResult.init(rawValue:)),
                let flags = fields.number(NFTA_FIB_FLAGS.rawValue),
                let register = fields.register(NFTA_FIB_DREG.rawValue)
            else { return nil }
            return .fib(result, FIBFlags(rawValue: flags), into: register)
        case "cmp":
            guard
                let comparison = fields.number(NFTA_CMP_OP.rawValue).flatMap(Comparison.init(rawValue:)),
                let register = fields.register(NFTA_CMP_SREG.rawValue),
                let value = fields.value(NFTA_CMP_DATA.rawValue)
            else { return nil }
            return .compare(register, comparison, value)
        case "bitwise":
            guard fields.number(NFTA_BITWISE_OP.rawValue) == Self.bitwiseBoolean,
                let from = fields.register(NFTA_BITWISE_SREG.rawValue),
                let into = fields.register(NFTA_BITWISE_DREG.rawValue),
                let mask = fields.value(NFTA_BITWISE_MASK.rawValue),
                let xor = fields.value(NFTA_BITWISE_XOR.rawValue)
            else { return nil }
            return .bitwise(from: from, into: into, mask: mask, xor: xor)
        case "immediate":
            return decodeImmediate(fields)
        case "numgen":
            guard let kind = fields.number(NFTA_NG_TYPE.rawValue).flatMap(NumgenKind.init(rawValue:)),
                let modulus = fields.number(NFTA_NG_MODULUS.rawValue),
                let offset = fields.number(NFTA_NG_OFFSET.rawValue),
                let register = fields.register(NFTA_NG_DREG.rawValue)
            else { return nil }
            return .numgen(kind, modulus: modulus, offset: offset, into: register)
        case "reject":
            switch fields.number(NFTA_REJECT_TYPE.rawValue) {
            case UInt32(NFT_REJECT_TCP_RST.rawValue): return .reject(.tcpReset)
            case UInt32(NFT_REJECT_ICMP_UNREACH.rawValue):
                return fields.byte(NFTA_REJECT_ICMP_CODE.rawValue).map { .reject(.unreachable(code: $0)) }
            default: return nil
            }
        case "counter":
            return .counter
        case "lookup":
            return decodeLookup(fields)
        case "dynset":
            return decodeDynamicSet(fields)
        case "nat", "masq":
            return decodeNAT(name, fields)
        default:
            return nil
        }
    }

    private static func decodeImmediate(_ fields: ExpressionFields) -> Self? {
        if fields.number(NFTA_IMMEDIATE_DREG.rawValue) == UInt32(NFT_REG_VERDICT.rawValue) {
            return fields.verdict(NFTA_IMMEDIATE_DATA.rawValue).map { .verdict($0) }
        }
        guard let register = fields.register(NFTA_IMMEDIATE_DREG.rawValue),
            let value = fields.value(NFTA_IMMEDIATE_DATA.rawValue)
        else { return nil }
        return .immediate(value, into: register)
    }

    private static func decodeLookup(_ fields: ExpressionFields) -> Self? {
        guard let set = fields.text(NFTA_LOOKUP_SET.rawValue),
            let key = fields.register(NFTA_LOOKUP_SREG.rawValue),
            let flags = fields.number(NFTA_LOOKUP_FLAGS.rawValue)
        else { return nil }
        guard fields.has(NFTA_LOOKUP_DREG.rawValue) else {
            let inverted = flags & UInt32(NFT_LOOKUP_F_INV.rawValue) != 0
            return .lookup(set: set, key: key, inverted ? .absence : .membership)
        }
        if fields.number(NFTA_LOOKUP_DREG.rawValue) == UInt32(NFT_REG_VERDICT.rawValue) {
            return .lookup(set: set, key: key, .verdict)
        }
        return fields.register(NFTA_LOOKUP_DREG.rawValue).map { .lookup(set: set, key: key, .data($0)) }
    }

    /// An update that carries its own statements (counters, limits) has no value here.
    private static func decodeDynamicSet(_ fields: ExpressionFields) -> Self? {
        guard
            let operation = fields.number(NFTA_DYNSET_OP.rawValue).flatMap(DynamicOperation.init(rawValue:)),
            let set = fields.text(NFTA_DYNSET_SET_NAME.rawValue),
            let key = fields.register(NFTA_DYNSET_SREG_KEY.rawValue),
            let timeout = fields.longNumber(NFTA_DYNSET_TIMEOUT.rawValue),
            !fields.has(NFTA_DYNSET_EXPRESSIONS.rawValue), !fields.has(NFTA_DYNSET_EXPR.rawValue)
        else { return nil }
        let data = fields.register(NFTA_DYNSET_SREG_DATA.rawValue)
        if data == nil, fields.has(NFTA_DYNSET_SREG_DATA.rawValue) { return nil }
        return .dynamicSet(
            operation, set: set, key: key, data: data, timeout: timeout == 0 ? nil : timeout)
    }

    private static func decodeNAT(_ name: String, _ fields: ExpressionFields) -> Self? {
        /// `NF_NAT_RANGE_MAP_IPS` and `NF_NAT_RANGE_PROTO_SPECIFIED` follow from the operands.
        let derived: UInt32 = 0x3
        if name == "masq" {
            guard !fields.has(NFTA_MASQ_REG_PROTO_MIN.rawValue),
                let flags = fields.number(NFTA_MASQ_FLAGS.rawValue)
            else { return nil }
            return .masquerade(flags: NATFlags(rawValue: flags & ~derived))
        }
        guard let kind = fields.number(NFTA_NAT_TYPE.rawValue).flatMap(NATKind.init(rawValue:)),
            let number = fields.number(NFTA_NAT_FAMILY.rawValue),
            let family = UInt8(exactly: number).flatMap(Family.init(rawValue:)),
            let flags = fields.number(NFTA_NAT_FLAGS.rawValue)
        else { return nil }
        let address = fields.register(NFTA_NAT_REG_ADDR_MIN.rawValue)
        let port = fields.register(NFTA_NAT_REG_PROTO_MIN.rawValue)
        // Ranges have no value here; the kernel repeats the first register where there is none.
        if let last = fields.register(NFTA_NAT_REG_ADDR_MAX.rawValue), last != address { return nil }
        if let last = fields.register(NFTA_NAT_REG_PROTO_MAX.rawValue), last != port { return nil }
        return .nat(
            kind, family, address: address, port: port, flags: NATFlags(rawValue: flags & ~derived))
    }
}
