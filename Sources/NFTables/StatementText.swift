/// Statements in nft's notation, as `nft list ruleset` writes them.
struct StatementText {
    let family: Family

    /// A rule without its comment.
    func write(_ statements: [Statement], to buffer: inout TextBuffer) {
        for (index, statement) in statements.enumerated() {
            if index > 0 { buffer += " " }
            write(statement, to: &buffer)
        }
    }

    func write(_ statement: Statement, to buffer: inout TextBuffer) {
        switch statement {
        case .match(let term, let comparison, let operand): write(term, comparison, operand, to: &buffer)
        case .verdictMap(let key, let name):
            write(key, to: &buffer)
            buffer += " vmap @"
            buffer += name
        case .verdict(let verdict): ValueText.write(verdict, to: &buffer)
        case .nat(let kind, let natFamily, let destination, let flags):
            buffer += kind == .destination ? "dnat " : "snat "
            write(destination, natFamily, to: &buffer)
            write(flags, to: &buffer)
        case .masquerade(let flags):
            buffer += "masquerade"
            write(flags, to: &buffer)
        case .reject(let rejection): write(rejection, to: &buffer)
        case .dynamicSet(let operation, let set, let key, let data, let timeout):
            switch operation {
            case .add: buffer += "add @"
            case .update: buffer += "update @"
            case .delete: buffer += "delete @"
            }
            buffer += set
            buffer += " { "
            write(key, to: &buffer)
            if let timeout {
                buffer += " timeout "
                ValueText.write(milliseconds: timeout, to: &buffer)
            }
            if let data {
                buffer += " : "
                write(data, to: &buffer)
            }
            buffer += " }"
        case .counter: buffer += "counter"
        case .setMeta(let key, let term):
            buffer += "meta "
            buffer += key.name
            buffer += " set "
            if case .constant(let value) = term {
                ValueText.write(value, key.kind, to: &buffer)
            } else {
                write(term, to: &buffer)
            }
        case .opaque(let text):
            buffer += "<"
            buffer += text
            buffer += ">"
        }
    }

    private func write(
        _ term: Term, _ comparison: Expression.Comparison, _ operand: Statement.Operand,
        to buffer: inout TextBuffer
    ) {
        write(term, to: &buffer)
        // After a bitwise operation nft takes a bare value for a flag, and asks for the operator.
        if case .bitwise = term, comparison == .equal { buffer += " ==" }
        switch comparison {
        case .equal: break
        case .notEqual: buffer += " !="
        case .less: buffer += " <"
        case .lessOrEqual: buffer += " <="
        case .greater: buffer += " >"
        case .greaterOrEqual: buffer += " >="
        }
        buffer += " "
        let kind = term.kind(in: family)
        switch operand {
        case .value(let value):
            if case .bitwise = term, kind == .ctState || kind == .ctStatus {
                // nft 1.0.6 garbles names here.
                buffer += "0x"
                buffer.append(hex: UInt64(value.hostNumber), digits: 1)
            } else {
                ValueText.write(value, kind, to: &buffer)
            }
        case .flags(let value): ValueText.write(value, kind, to: &buffer)
        case .prefix(let value, let bits):
            ValueText.write(value, kind, to: &buffer)
            buffer += "/"
            buffer.append(number: bits)
        case .range(let first, let last):
            ValueText.write(first, kind, to: &buffer)
            buffer += "-"
            ValueText.write(last, kind, to: &buffer)
        case .beginning(let value): ValueText.writeInterfaceBeginning(value, to: &buffer)
        case .set(let name):
            buffer += "@"
            buffer += name
        }
    }

    func write(_ term: Term, to buffer: inout TextBuffer) {
        switch term {
        case .payload(let base, let offset, let length):
            if let field = PayloadField(base, offset: offset, length: length, in: family) {
                buffer += field.rawValue
            } else {
                switch base {
                case .link: buffer += "@ll,"
                case .network: buffer += "@nh,"
                case .transport: buffer += "@th,"
                }
                buffer.append(number: UInt64(offset) * 8)
                buffer += ","
                buffer.append(number: UInt64(length) * 8)
            }
        case .meta(let key):
            if !key.isUnqualified { buffer += "meta " }
            buffer += key.name
        case .conntrack(let key, let direction):
            buffer += "ct "
            switch direction {
            case .original: buffer += "original "
            case .reply: buffer += "reply "
            case nil: break
            }
            buffer += key.name
        case .fib(let result, let flags): write(result, flags, to: &buffer)
        case .numgen(let kind, let modulus, let offset):
            buffer += kind == .incremental ? "numgen inc mod " : "numgen random mod "
            buffer.append(number: modulus)
            if offset > 0 {
                buffer += " offset "
                buffer.append(number: offset)
            }
        case .bitwise(let inner, let mask, let xor): write(inner, mask, xor, to: &buffer)
        case .constant(let value): ValueText.write(value, .networkNumber, to: &buffer)
        case .concatenation(let terms):
            for (index, term) in terms.enumerated() {
                if index > 0 { buffer += " . " }
                write(term, to: &buffer)
            }
        case .map(let key, let name):
            write(key, to: &buffer)
            buffer += " map @"
            buffer += name
        }
    }

    /// The kernel knows `(a & mask) ^ xor` alone; nft writes an OR where the bits that it sets are masked out.
    private func write(
        _ inner: Term, _ mask: RegisterValue, _ xor: RegisterValue, to buffer: inout TextBuffer
    ) {
        let kind = inner.kind(in: family)
        func constant(_ value: RegisterValue) {
            if kind == .ctState || kind == .ctStatus {
                buffer += "0x"
                buffer.append(hex: UInt64(value.hostNumber), digits: 1)
            } else {
                ValueText.write(value, kind, to: &buffer)
            }
        }
        write(inner, to: &buffer)
        let parts = BitwiseParts(mask: mask, xor: xor)
        if !parts.kept.isAllOnes {
            buffer += " & "
            constant(parts.kept)
        }
        if !parts.set.isZero {
            buffer += " | "
            constant(parts.set)
        }
        if !parts.flipped.isZero {
            buffer += " ^ "
            constant(parts.flipped)
        }
    }

    private func write(
        _ result: Expression.FIBResult, _ flags: Expression.FIBFlags, to buffer: inout TextBuffer
    ) {
        buffer += "fib "
        ValueText.writeFlags(flags.rawValue, Self.fibFlagNames, separator: " . ", to: &buffer)
        switch result {
        case .outputInterface: buffer += " oif"
        case .outputInterfaceName: buffer += " oifname"
        case .addressType: buffer += " type"
        }
    }

    private func write(_ destination: Statement.Destination, _ natFamily: Family, to buffer: inout TextBuffer)
    {
        // `ip` and `ip6` tables imply the family; nft asks for it where a map gives the port as well.
        func to() {
            if natFamily != family {
                buffer += natFamily.description
                buffer += " "
            }
            buffer += "to "
        }
        switch destination {
        case .address(let term):
            to()
            writeAddress(term, natFamily, bracketed: false, to: &buffer)
        case .port(let term):
            to()
            buffer += ":"
            writePort(term, to: &buffer)
        case .addressPort(let address, let port):
            to()
            writeAddress(address, natFamily, bracketed: natFamily == .ip6, to: &buffer)
            buffer += ":"
            writePort(port, to: &buffer)
        case .addressAndPort(let term):
            buffer += natFamily.description
            buffer += " to "
            write(term, to: &buffer)
        }
    }

    private func writeAddress(_ term: Term, _ natFamily: Family, bracketed: Bool, to buffer: inout TextBuffer)
    {
        guard case .constant(let value) = term else { return write(term, to: &buffer) }
        if bracketed { buffer += "[" }
        ValueText.write(value, natFamily == .ip6 ? .ipv6Address : .ipv4Address, to: &buffer)
        if bracketed { buffer += "]" }
    }

    private func writePort(_ term: Term, to buffer: inout TextBuffer) {
        if case .constant(let value) = term {
            ValueText.write(value, .port, to: &buffer)
        } else {
            write(term, to: &buffer)
        }
    }

    private func write(_ flags: Expression.NATFlags, to buffer: inout TextBuffer) {
        guard !flags.isEmpty else { return }
        buffer += " "
        ValueText.writeFlags(flags.rawValue, Self.natFlagNames, to: &buffer)
    }

    private func write(_ rejection: Expression.Rejection, to buffer: inout TextBuffer) {
        switch rejection {
        case .tcpReset: buffer += "reject with tcp reset"
        case .unreachable(let code):
            guard code != (family == .ip6 ? 4 : 3) else {
                buffer += "reject"
                return
            }
            buffer += family == .ip6 ? "reject with icmpv6 " : "reject with icmp "
            if let name = family == .ip6 ? Self.icmpv6Codes[code] : Self.icmpCodes[code] {
                buffer += name
            } else {
                buffer.append(number: code)
            }
        }
    }

    /// `NFTA_FIB_F_*`
    static let fibFlagNames: [(bit: UInt32, name: StaticString)] = [
        (1, "saddr"), (2, "daddr"), (4, "mark"), (8, "iif"), (16, "oif"),
    ]

    /// `NF_NAT_RANGE_*`
    static let natFlagNames: [(bit: UInt32, name: StaticString)] = [
        (4, "random"), (16, "fully-random"), (8, "persistent"),
    ]

    /// Codes of ICMP type 3 (RFC 792, RFC 1812) that nft names.
    static let icmpCodes: [UInt8: String] = [
        0: "net-unreachable", 1: "host-unreachable", 2: "prot-unreachable", 3: "port-unreachable",
        9: "net-prohibited", 10: "host-prohibited", 13: "admin-prohibited",
    ]

    /// Codes of ICMPv6 type 1 (RFC 4443) that nft names.
    static let icmpv6Codes: [UInt8: String] = [
        0: "no-route", 1: "admin-prohibited", 3: "addr-unreachable", 4: "port-unreachable", 5: "policy-fail",
        6: "reject-route",
    ]
}
