/// Statements in the notation of libnftables-json(5).
struct StatementJSON {
    let family: Family

    func write(_ statement: Statement, to json: inout JSONWriter) {
        switch statement {
        case .opaque(let text): json.string(text)
        default: json.object { write(member: statement, to: &$0) }
        }
    }

    private func write(member statement: Statement, to json: inout JSONWriter) {
        switch statement {
        case .match(let term, let comparison, let operand):
            json.member("match") { json in
                json.member("op", name(of: comparison, operand))
                json.key("left")
                write(term, to: &json)
                json.key("right")
                write(operand, comparedWith: term, to: &json)
            }
        case .verdictMap(let key, let name):
            json.member("vmap") { json in
                json.key("key")
                write(key, to: &json)
                json.member("data", "@" + name)
            }
        case .verdict(let verdict): Self.write(member: verdict, to: &json)
        case .nat(let kind, let natFamily, let destination, let flags):
            json.member(kind == .destination ? "dnat" : "snat") { json in
                write(destination, natFamily, to: &json)
                write(flags, to: &json)
            }
        case .masquerade(let flags):
            if flags.isEmpty {
                json.null("masquerade")
            } else {
                json.member("masquerade") { write(flags, to: &$0) }
            }
        case .reject(.tcpReset): json.member("reject") { $0.member("type", "tcp reset") }
        case .reject(.unreachable(let code)):
            let isIPv6 = family == .ip6
            json.member("reject") { json in
                json.member("type", isIPv6 ? "icmpv6" : "icmp")
                if let name = isIPv6 ? StatementText.icmpv6Codes[code] : StatementText.icmpCodes[code] {
                    json.member("expr", name)
                } else {
                    json.member("expr", number: code)
                }
            }
        case .dynamicSet(let operation, let set, let key, let data, let timeout):
            json.member(data == nil ? "set" : "map") { json in
                json.member("op", "\(operation)")
                json.key("elem")
                write(element: key, timeout, to: &json)
                if let data {
                    json.key("data")
                    write(data, to: &json)
                }
                json.member(data == nil ? "set" : "map", "@" + set)
            }
        case .counter:
            json.member("counter") { json in
                json.member("packets", number: 0)
                json.member("bytes", number: 0)
            }
        case .setMeta(let key, let term):
            json.member("mangle") { json in
                json.key("key")
                write(.meta(key), to: &json)
                json.key("value")
                if case .constant(let value) = term {
                    Self.write(value, key.kind, to: &json)
                } else {
                    write(term, to: &json)
                }
            }
        case .opaque: break
        }
    }

    private func write(element key: Term, _ timeout: UInt64?, to json: inout JSONWriter) {
        guard let timeout else { return write(key, to: &json) }
        json.object { json in
            json.member("elem") { json in
                json.key("val")
                write(key, to: &json)
                json.member("timeout", number: timeout / 1000)
            }
        }
    }

    private func name(of comparison: Expression.Comparison, _ operand: Statement.Operand) -> String {
        if case .flags = operand, comparison == .equal { return "in" }
        return switch comparison {
        case .equal: "=="
        case .notEqual: "!="
        case .less: "<"
        case .lessOrEqual: "<="
        case .greater: ">"
        case .greaterOrEqual: ">="
        }
    }

    private func write(
        _ operand: Statement.Operand, comparedWith term: Term, to json: inout JSONWriter
    ) {
        let kind = term.kind(in: family)
        switch operand {
        case .value(let value), .flags(let value): Self.write(value, kind, to: &json)
        case .prefix(let value, let bits):
            Self.write(prefix: bits, to: &json) { Self.write(value, kind, to: &$0) }
        case .range(let first, let last):
            json.object { json in
                json.key("range")
                json.array { json in
                    Self.write(first, kind, to: &json)
                    Self.write(last, kind, to: &json)
                }
            }
        case .beginning(let value): json.string(String(decoding: value.bytes, as: UTF8.self) + "*")
        case .set(let name): json.string("@" + name)
        }
    }

    static func write(prefix bits: Int, to json: inout JSONWriter, address: (inout JSONWriter) -> Void) {
        json.object { json in
            json.member("prefix") { json in
                json.key("addr")
                address(&json)
                json.member("len", number: bits)
            }
        }
    }

    func write(_ term: Term, to json: inout JSONWriter) {
        switch term {
        case .payload(let base, let offset, let length):
            json.object { json in
                json.member("payload") { json in
                    if let field = PayloadField(base, offset: offset, length: length, in: family) {
                        let words = field.rawValue.split(separator: " ")
                        json.member("protocol", String(words[0]))
                        json.member("field", String(words[1]))
                    } else {
                        json.member("base", base == .link ? "ll" : base == .network ? "nh" : "th")
                        json.member("offset", number: UInt64(offset) * 8)
                        json.member("len", number: UInt64(length) * 8)
                    }
                }
            }
        case .meta(let key): json.object { $0.member("meta") { $0.member("key", key.name) } }
        case .conntrack(let key, let direction):
            json.object { json in
                json.member("ct") { json in
                    json.member("key", key.name)
                    if let direction { json.member("dir", "\(direction)") }
                }
            }
        case .fib(let result, let flags): write(result, flags, to: &json)
        case .numgen(let kind, let modulus, let offset):
            json.object { json in
                json.member("numgen") { json in
                    json.member("mode", kind == .incremental ? "inc" : "random")
                    json.member("mod", number: modulus)
                    json.member("offset", number: offset)
                }
            }
        case .bitwise(let inner, let mask, let xor): write(inner, mask, xor, to: &json)
        case .constant(let value): Self.write(value, .networkNumber, to: &json)
        case .concatenation(let terms):
            json.object { json in
                json.key("concat")
                json.array { json in
                    for term in terms { write(term, to: &json) }
                }
            }
        case .map(let key, let name):
            json.object { json in
                json.member("map") { json in
                    json.key("key")
                    write(key, to: &json)
                    json.member("data", "@" + name)
                }
            }
        }
    }

    private func write(
        _ result: Expression.FIBResult, _ flags: Expression.FIBFlags, to json: inout JSONWriter
    ) {
        json.object { json in
            json.member("fib") { json in
                switch result {
                case .outputInterface: json.member("result", "oif")
                case .outputInterfaceName: json.member("result", "oifname")
                case .addressType: json.member("result", "type")
                }
                json.key("flags")
                json.array { json in
                    for (bit, name) in StatementText.fibFlagNames where flags.rawValue & bit != 0 {
                        json.string("\(name)")
                    }
                }
            }
        }
    }

    /// As in text: AND the kept bits, OR the set ones, XOR the flipped ones, innermost first.
    private func write(_ inner: Term, _ mask: RegisterValue, _ xor: RegisterValue, to json: inout JSONWriter)
    {
        let parts = BitwiseParts(mask: mask, xor: xor)
        var steps: [(name: StaticString, value: RegisterValue)] = []
        if !parts.kept.isAllOnes { steps.append(("&", parts.kept)) }
        if !parts.set.isZero { steps.append(("|", parts.set)) }
        if !parts.flipped.isZero { steps.append(("^", parts.flipped)) }
        write(inner, steps[...], to: &json)
    }

    private func write(
        _ inner: Term, _ steps: ArraySlice<(name: StaticString, value: RegisterValue)>,
        to json: inout JSONWriter
    ) {
        guard let last = steps.last else { return write(inner, to: &json) }
        json.object { json in
            json.key(last.name)
            json.array { json in
                write(inner, steps.dropLast(), to: &json)
                Self.write(last.value, inner.kind(in: family), to: &json)
            }
        }
    }

    private func write(_ destination: Statement.Destination, _ natFamily: Family, to json: inout JSONWriter) {
        func address(_ term: Term) {
            json.key("addr")
            if case .constant(let value) = term {
                Self.write(value, natFamily == .ip6 ? .ipv6Address : .ipv4Address, to: &json)
            } else {
                write(term, to: &json)
            }
        }
        func port(_ term: Term) {
            json.key("port")
            if case .constant(let value) = term {
                Self.write(value, .port, to: &json)
            } else {
                write(term, to: &json)
            }
        }
        if case .addressAndPort = destination {
            json.member("family", natFamily.description)
        } else if natFamily != family {
            json.member("family", natFamily.description)
        }
        switch destination {
        case .address(let term), .addressAndPort(let term): address(term)
        case .port(let term): port(term)
        case .addressPort(let term, let portTerm):
            address(term)
            port(portTerm)
        }
    }

    private func write(_ flags: Expression.NATFlags, to json: inout JSONWriter) {
        let names = StatementText.natFlagNames.filter { flags.rawValue & $0.bit != 0 }.map { "\($0.name)" }
        guard !names.isEmpty else { return }
        json.key("flags")
        Self.write(names: names, to: &json)
    }

    /// One name as a string, several as an array.
    private static func write(names: [String], to json: inout JSONWriter) {
        if let name = names.first, names.count == 1 { return json.string(name) }
        json.array { json in
            for name in names { json.string(name) }
        }
    }

    /// `"goto": {"target": …}` or `"drop": null`
    static func write(member verdict: Verdict, to json: inout JSONWriter) {
        switch verdict {
        case .accept: json.null("accept")
        case .drop: json.null("drop")
        case .continue: json.null("continue")
        case .return: json.null("return")
        case .jump(let chain): json.member("jump") { $0.member("target", chain) }
        case .goto(let chain): json.member("goto") { $0.member("target", chain) }
        }
    }

    /// One value; numbers where nft's JSON has numbers.
    static func write(
        _ value: RegisterValue, from start: Int = 0, _ kind: ValueKind, to json: inout JSONWriter
    ) {
        func byte(_ offset: Int) -> UInt8 { start + offset < value.count ? value[start + offset] : 0 }
        func host() -> UInt32 {
            UInt32(littleEndian: (0..<4).reduce(0) { $0 | UInt32(byte($1)) << UInt32($1 * 8) })
        }
        switch kind {
        case .port: json.number(UInt16(byte(0)) << 8 | UInt16(byte(1)))
        case .mark, .hostNumber: json.number(host())
        case .internetProtocol where InternetProtocol(rawValue: byte(0)).name == nil: json.number(byte(0))
        case .networkNumber where value.count - start <= 8:
            json.number((start..<value.count).reduce(UInt64(0)) { $0 << 8 | UInt64(value[$1]) })
        case .interfaceName:
            let name = (0..<16).lazy.map(byte).prefix { $0 != 0 }
            json.string(String(decoding: Array(name), as: UTF8.self))
        case .ctState, .ctStatus:
            let names = kind == .ctState ? ValueText.ctStateNames : ValueText.ctStatusNames
            let bits = host()
            let known = names.filter { bits & $0.bit != 0 }
            if !known.isEmpty, known.reduce(0, { $0 | $1.bit }) == bits {
                write(names: known.map { "\($0.name)" }, to: &json)
            } else {
                json.number(bits)
            }
        default: json.string { ValueText.write(value, from: start, kind, to: &$0) }
        }
    }
}

/// `(a & mask) ^ xor` as AND, OR and XOR, the way nft shows it.
struct BitwiseParts {
    let kept: RegisterValue
    let set: RegisterValue
    let flipped: RegisterValue

    init(mask: RegisterValue, xor: RegisterValue) {
        set = RegisterValue(zip(mask.bytes, xor.bytes).map { ~$0 & $1 })
        flipped = RegisterValue(zip(mask.bytes, xor.bytes).map { $0 & $1 })
        kept = RegisterValue(zip(mask.bytes, set.bytes).map { $0 | $1 })
    }
}
