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

/// One libnftnl expression. Made for a rule, it belongs to the rule once added.
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
}

// MARK: - Encoding

extension Expression {
    /// `NFT_BITWISE_BOOL`, which newer headers call `NFT_BITWISE_MASK_XOR`: `(register & mask) ^ xor`.
    static let bitwiseBoolean: UInt32 = 0

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
