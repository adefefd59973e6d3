internal import CNetfilter
import NFTables

/// Register numbers as they travel: the kernel and nft name a 128-bit register where one begins.
extension Register {
    var number: UInt32 {
        index % 4 == 0
            ? UInt32(NFT_REG_1.rawValue) + UInt32(index / 4) : UInt32(NFT_REG32_00.rawValue) + UInt32(index)
    }

    init?(number: UInt32) {
        switch number {
        case UInt32(NFT_REG_1.rawValue)...UInt32(NFT_REG_4.rawValue):
            self.init(Int(number - UInt32(NFT_REG_1.rawValue)) * 4)
        case UInt32(NFT_REG32_00.rawValue)...UInt32(NFT_REG32_15.rawValue):
            self.init(Int(number - UInt32(NFT_REG32_00.rawValue)))
        default:
            return nil
        }
    }
}

extension Verdict {
    /// `NF_*` and `NFT_*` codes.
    var code: Int32 {
        switch self {
        case .drop: 0
        case .accept: 1
        case .continue: NFT_CONTINUE.rawValue
        case .return: NFT_RETURN.rawValue
        case .jump: NFT_JUMP.rawValue
        case .goto: NFT_GOTO.rawValue
        }
    }

    init?(code: Int32, chain: String?) {
        switch (code, chain) {
        case (0, _): self = .drop
        case (1, _): self = .accept
        case (NFT_CONTINUE.rawValue, _): self = .continue
        case (NFT_RETURN.rawValue, _): self = .return
        case (NFT_JUMP.rawValue, let chain?): self = .jump(chain)
        case (NFT_GOTO.rawValue, let chain?): self = .goto(chain)
        default: return nil
        }
    }
}

/// One libnftnl expression. Made for a rule, it belongs to the rule once added; read from a rule, it stays the rule's.
struct RawExpression {
    let pointer: OpaquePointer

    func set(_ attribute: Int, _ value: UInt32) { nftnl_expr_set_u32(pointer, UInt16(attribute), value) }
    func set(_ attribute: Int, _ register: Register) { set(attribute, register.number) }
    func set(_ attribute: Int, _ text: String) { nftnl_expr_set_str(pointer, UInt16(attribute), text) }
    func set(_ attribute: Int, _ value: RegisterValue) {
        value.withBytes { bytes in
            _ = nftnl_expr_set(pointer, UInt16(attribute), bytes.baseAddress, UInt32(bytes.count))
        }
    }

    func has(_ attribute: Int) -> Bool { nftnl_expr_is_set(pointer, UInt16(attribute)) }
    func number(_ attribute: Int) -> UInt32 { nftnl_expr_get_u32(pointer, UInt16(attribute)) }
    func register(_ attribute: Int) -> Register? {
        has(attribute) ? Register(number: number(attribute)) : nil
    }
    func text(_ attribute: Int) -> String? {
        nftnl_expr_get_str(pointer, UInt16(attribute)).map { String(cString: $0) }
    }
    func value(_ attribute: Int) -> RegisterValue? {
        var length: UInt32 = 0
        guard let data = nftnl_expr_get(pointer, UInt16(attribute), &length),
            length <= RegisterValue.maximumCount
        else { return nil }
        return RegisterValue(UnsafeRawBufferPointer(start: data, count: Int(length)))
    }
}

// MARK: - Encoding

extension Expression {
    /// `NFT_BITWISE_BOOL`, which newer headers call `NFT_BITWISE_MASK_XOR`: `(register & mask) ^ xor`.
    fileprivate static let bitwiseBoolean: UInt32 = 0

    /// The kernel's name of the instruction.
    private var kernelName: String {
        switch self {
        case .meta, .setMeta: "meta"
        case .payload: "payload"
        case .conntrack: "ct"
        case .fib: "fib"
        case .compare: "cmp"
        case .bitwise: "bitwise"
        case .lookup: "lookup"
        case .immediate, .verdict: "immediate"
        case .numgen: "numgen"
        case .nat: "nat"
        case .masquerade: "masq"
        case .reject: "reject"
        case .dynamicSet: "dynset"
        case .counter: "counter"
        case .unsupported(let name): name
        }
    }

    /// A new libnftnl expression, owned by the caller until it is added to a rule.
    func makeRaw() throws(KernelError) -> OpaquePointer {
        if case .unsupported(let name) = self {
            throw .unencodable("the expression \(name) was read from the kernel and cannot be written")
        }
        guard let pointer = nftnl_expr_alloc(kernelName) else {
            throw .unencodable("libnftnl does not know the expression \(kernelName)")
        }
        fill(RawExpression(pointer: pointer))
        return pointer
    }

    private func fill(_ raw: RawExpression) {
        switch self {
        case .meta(let key, let register):
            raw.set(Int(NFTNL_EXPR_META_KEY), key.rawValue)
            raw.set(Int(NFTNL_EXPR_META_DREG), register)
        case .setMeta(let key, let register):
            raw.set(Int(NFTNL_EXPR_META_KEY), key.rawValue)
            raw.set(Int(NFTNL_EXPR_META_SREG), register)
        case .payload(let base, let offset, let length, let register):
            raw.set(Int(NFTNL_EXPR_PAYLOAD_BASE), base.rawValue)
            raw.set(Int(NFTNL_EXPR_PAYLOAD_OFFSET), offset)
            raw.set(Int(NFTNL_EXPR_PAYLOAD_LEN), length)
            raw.set(Int(NFTNL_EXPR_PAYLOAD_DREG), register)
        case .conntrack(let key, let direction, let register):
            raw.set(Int(NFTNL_EXPR_CT_KEY), key.rawValue)
            if let direction {
                nftnl_expr_set_u8(raw.pointer, UInt16(NFTNL_EXPR_CT_DIR), direction.rawValue)
            }
            raw.set(Int(NFTNL_EXPR_CT_DREG), register)
        case .fib(let result, let flags, let register):
            raw.set(Int(NFTNL_EXPR_FIB_RESULT), result.rawValue)
            raw.set(Int(NFTNL_EXPR_FIB_FLAGS), flags.rawValue)
            raw.set(Int(NFTNL_EXPR_FIB_DREG), register)
        case .compare(let register, let comparison, let value):
            raw.set(Int(NFTNL_EXPR_CMP_SREG), register)
            raw.set(Int(NFTNL_EXPR_CMP_OP), comparison.rawValue)
            raw.set(Int(NFTNL_EXPR_CMP_DATA), value)
        case .bitwise(let from, let into, let mask, let xor):
            raw.set(Int(NFTNL_EXPR_BITWISE_SREG), from)
            raw.set(Int(NFTNL_EXPR_BITWISE_DREG), into)
            raw.set(Int(NFTNL_EXPR_BITWISE_OP), Self.bitwiseBoolean)
            raw.set(Int(NFTNL_EXPR_BITWISE_LEN), UInt32(mask.count))
            raw.set(Int(NFTNL_EXPR_BITWISE_MASK), mask)
            raw.set(Int(NFTNL_EXPR_BITWISE_XOR), xor)
        case .lookup(let set, let key, let target):
            raw.set(Int(NFTNL_EXPR_LOOKUP_SET), set)
            raw.set(Int(NFTNL_EXPR_LOOKUP_SREG), key)
            switch target {
            case .membership: break
            case .absence: raw.set(Int(NFTNL_EXPR_LOOKUP_FLAGS), UInt32(NFT_LOOKUP_F_INV.rawValue))
            case .verdict: raw.set(Int(NFTNL_EXPR_LOOKUP_DREG), UInt32(NFT_REG_VERDICT.rawValue))
            case .data(let register): raw.set(Int(NFTNL_EXPR_LOOKUP_DREG), register)
            }
        case .immediate(let value, let register):
            raw.set(Int(NFTNL_EXPR_IMM_DREG), register)
            raw.set(Int(NFTNL_EXPR_IMM_DATA), value)
        case .verdict(let verdict):
            raw.set(Int(NFTNL_EXPR_IMM_DREG), UInt32(NFT_REG_VERDICT.rawValue))
            raw.set(Int(NFTNL_EXPR_IMM_VERDICT), UInt32(bitPattern: verdict.code))
            if let chain = verdict.target { raw.set(Int(NFTNL_EXPR_IMM_CHAIN), chain) }
        case .numgen(let kind, let modulus, let offset, let register):
            raw.set(Int(NFTNL_EXPR_NG_TYPE), kind.rawValue)
            raw.set(Int(NFTNL_EXPR_NG_MODULUS), modulus)
            raw.set(Int(NFTNL_EXPR_NG_OFFSET), offset)
            raw.set(Int(NFTNL_EXPR_NG_DREG), register)
        case .nat(let kind, let family, let address, let port, let flags):
            raw.set(Int(NFTNL_EXPR_NAT_TYPE), kind.rawValue)
            raw.set(Int(NFTNL_EXPR_NAT_FAMILY), UInt32(family.rawValue))
            if let address { raw.set(Int(NFTNL_EXPR_NAT_REG_ADDR_MIN), address) }
            if let port { raw.set(Int(NFTNL_EXPR_NAT_REG_PROTO_MIN), port) }
            if !flags.isEmpty { raw.set(Int(NFTNL_EXPR_NAT_FLAGS), flags.rawValue) }
        case .masquerade(let flags):
            if !flags.isEmpty { raw.set(Int(NFTNL_EXPR_MASQ_FLAGS), flags.rawValue) }
        case .reject(let rejection):
            switch rejection {
            case .tcpReset:
                raw.set(Int(NFTNL_EXPR_REJECT_TYPE), UInt32(NFT_REJECT_TCP_RST.rawValue))
            case .unreachable(let code):
                raw.set(Int(NFTNL_EXPR_REJECT_TYPE), UInt32(NFT_REJECT_ICMP_UNREACH.rawValue))
                nftnl_expr_set_u8(raw.pointer, UInt16(NFTNL_EXPR_REJECT_CODE), code)
            }
        case .dynamicSet(let operation, let set, let key, let data, let timeout):
            raw.set(Int(NFTNL_EXPR_DYNSET_OP), operation.rawValue)
            raw.set(Int(NFTNL_EXPR_DYNSET_SET_NAME), set)
            raw.set(Int(NFTNL_EXPR_DYNSET_SREG_KEY), key)
            if let data { raw.set(Int(NFTNL_EXPR_DYNSET_SREG_DATA), data) }
            if let timeout { nftnl_expr_set_u64(raw.pointer, UInt16(NFTNL_EXPR_DYNSET_TIMEOUT), timeout) }
        case .counter, .unsupported:
            break
        }
    }
}

// MARK: - Decoding

extension Expression {
    /// The value behind a libnftnl expression; `.unsupported` with its name where this library has no value for it.
    init(_ raw: RawExpression) {
        let name = raw.text(Int(NFTNL_EXPR_NAME)) ?? "?"
        self = Self.decode(name, raw) ?? .unsupported(name)
    }

    private static func decode(_ name: String, _ raw: RawExpression) -> Self? {
        switch name {
        case "meta":
            guard let key = MetaKey(rawValue: raw.number(Int(NFTNL_EXPR_META_KEY))) else { return nil }
            if let register = raw.register(Int(NFTNL_EXPR_META_SREG)) { return .setMeta(key, from: register) }
            return raw.register(Int(NFTNL_EXPR_META_DREG)).map { .meta(key, into: $0) }
        case "payload":
            guard let base = PayloadBase(rawValue: raw.number(Int(NFTNL_EXPR_PAYLOAD_BASE))),
                let register = raw.register(Int(NFTNL_EXPR_PAYLOAD_DREG))
            else { return nil }
            return .payload(
                base, offset: raw.number(Int(NFTNL_EXPR_PAYLOAD_OFFSET)),
                length: raw.number(Int(NFTNL_EXPR_PAYLOAD_LEN)), into: register)
        case "ct":
            guard let key = ConntrackKey(rawValue: raw.number(Int(NFTNL_EXPR_CT_KEY))),
                let register = raw.register(Int(NFTNL_EXPR_CT_DREG))
            else { return nil }
            var direction: Direction?
            if raw.has(Int(NFTNL_EXPR_CT_DIR)) {
                direction = Direction(rawValue: nftnl_expr_get_u8(raw.pointer, UInt16(NFTNL_EXPR_CT_DIR)))
            }
            return .conntrack(key, direction: direction, into: register)
        case "fib":
            guard let result = FIBResult(rawValue: raw.number(Int(NFTNL_EXPR_FIB_RESULT))),
                let register = raw.register(Int(NFTNL_EXPR_FIB_DREG))
            else { return nil }
            return .fib(result, FIBFlags(rawValue: raw.number(Int(NFTNL_EXPR_FIB_FLAGS))), into: register)
        case "cmp":
            guard let comparison = Comparison(rawValue: raw.number(Int(NFTNL_EXPR_CMP_OP))),
                let register = raw.register(Int(NFTNL_EXPR_CMP_SREG)),
                let value = raw.value(Int(NFTNL_EXPR_CMP_DATA))
            else { return nil }
            return .compare(register, comparison, value)
        case "bitwise":
            guard raw.number(Int(NFTNL_EXPR_BITWISE_OP)) == Self.bitwiseBoolean,
                let from = raw.register(Int(NFTNL_EXPR_BITWISE_SREG)),
                let into = raw.register(Int(NFTNL_EXPR_BITWISE_DREG)),
                let mask = raw.value(Int(NFTNL_EXPR_BITWISE_MASK)),
                let xor = raw.value(Int(NFTNL_EXPR_BITWISE_XOR))
            else { return nil }
            return .bitwise(from: from, into: into, mask: mask, xor: xor)
        case "immediate":
            return decodeImmediate(raw)
        case "numgen":
            guard let kind = NumgenKind(rawValue: raw.number(Int(NFTNL_EXPR_NG_TYPE))),
                let register = raw.register(Int(NFTNL_EXPR_NG_DREG))
            else { return nil }
            return .numgen(
                kind, modulus: raw.number(Int(NFTNL_EXPR_NG_MODULUS)),
                offset: raw.number(Int(NFTNL_EXPR_NG_OFFSET)), into: register)
        case "reject":
            switch raw.number(Int(NFTNL_EXPR_REJECT_TYPE)) {
            case UInt32(NFT_REJECT_TCP_RST.rawValue): return .reject(.tcpReset)
            case UInt32(NFT_REJECT_ICMP_UNREACH.rawValue):
                return .reject(
                    .unreachable(code: nftnl_expr_get_u8(raw.pointer, UInt16(NFTNL_EXPR_REJECT_CODE))))
            default: return nil
            }
        case "counter":
            return .counter
        case "lookup", "dynset":
            return decodeSetUse(name, raw)
        case "nat", "masq":
            return decodeNAT(name, raw)
        default:
            return nil
        }
    }

    private static func decodeImmediate(_ raw: RawExpression) -> Self? {
        if raw.number(Int(NFTNL_EXPR_IMM_DREG)) == UInt32(NFT_REG_VERDICT.rawValue) {
            let code = Int32(bitPattern: raw.number(Int(NFTNL_EXPR_IMM_VERDICT)))
            return Verdict(code: code, chain: raw.text(Int(NFTNL_EXPR_IMM_CHAIN))).map { .verdict($0) }
        }
        guard let register = raw.register(Int(NFTNL_EXPR_IMM_DREG)),
            let value = raw.value(Int(NFTNL_EXPR_IMM_DATA))
        else { return nil }
        return .immediate(value, into: register)
    }

    private static func decodeSetUse(_ name: String, _ raw: RawExpression) -> Self? {
        if name == "lookup" {
            guard let set = raw.text(Int(NFTNL_EXPR_LOOKUP_SET)),
                let key = raw.register(Int(NFTNL_EXPR_LOOKUP_SREG))
            else { return nil }
            guard raw.has(Int(NFTNL_EXPR_LOOKUP_DREG)) else {
                let inverted =
                    raw.number(Int(NFTNL_EXPR_LOOKUP_FLAGS)) & UInt32(NFT_LOOKUP_F_INV.rawValue) != 0
                return .lookup(set: set, key: key, inverted ? .absence : .membership)
            }
            if raw.number(Int(NFTNL_EXPR_LOOKUP_DREG)) == UInt32(NFT_REG_VERDICT.rawValue) {
                return .lookup(set: set, key: key, .verdict)
            }
            return raw.register(Int(NFTNL_EXPR_LOOKUP_DREG)).map { .lookup(set: set, key: key, .data($0)) }
        }
        // An update that carries its own statements (counters, limits) has no value here.
        guard let operation = DynamicOperation(rawValue: raw.number(Int(NFTNL_EXPR_DYNSET_OP))),
            let set = raw.text(Int(NFTNL_EXPR_DYNSET_SET_NAME)),
            let key = raw.register(Int(NFTNL_EXPR_DYNSET_SREG_KEY)),
            !raw.has(Int(NFTNL_EXPR_DYNSET_EXPRESSIONS)), !raw.has(Int(NFTNL_EXPR_DYNSET_EXPR))
        else { return nil }
        let timeout = nftnl_expr_get_u64(raw.pointer, UInt16(NFTNL_EXPR_DYNSET_TIMEOUT))
        return .dynamicSet(
            operation, set: set, key: key, data: raw.register(Int(NFTNL_EXPR_DYNSET_SREG_DATA)),
            timeout: timeout == 0 ? nil : timeout)
    }

    private static func decodeNAT(_ name: String, _ raw: RawExpression) -> Self? {
        /// `NF_NAT_RANGE_MAP_IPS` and `NF_NAT_RANGE_PROTO_SPECIFIED` follow from the operands.
        let derived: UInt32 = 0x3
        if name == "masq" {
            guard !raw.has(Int(NFTNL_EXPR_MASQ_REG_PROTO_MIN)) else { return nil }
            return .masquerade(flags: NATFlags(rawValue: raw.number(Int(NFTNL_EXPR_MASQ_FLAGS)) & ~derived))
        }
        guard let kind = NATKind(rawValue: raw.number(Int(NFTNL_EXPR_NAT_TYPE))),
            let family = Family(rawValue: UInt8(truncatingIfNeeded: raw.number(Int(NFTNL_EXPR_NAT_FAMILY))))
        else { return nil }
        let address = raw.register(Int(NFTNL_EXPR_NAT_REG_ADDR_MIN))
        let port = raw.register(Int(NFTNL_EXPR_NAT_REG_PROTO_MIN))
        // Ranges have no value here; the kernel repeats the first register where there is none.
        if let last = raw.register(Int(NFTNL_EXPR_NAT_REG_ADDR_MAX)), last != address { return nil }
        if let last = raw.register(Int(NFTNL_EXPR_NAT_REG_PROTO_MAX)), last != port { return nil }
        return .nat(
            kind, family, address: address, port: port,
            flags: NATFlags(rawValue: raw.number(Int(NFTNL_EXPR_NAT_FLAGS)) & ~derived))
    }
}
