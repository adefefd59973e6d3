/// Reads the statements out of a rule's instructions by running them on symbols in place of packets.
public struct Syntax {
    private let family: Family
    private let sets: [String: NamedSet]
    private var registers: [Symbol?] = Array(repeating: nil, count: 16)
    private var statements: [Statement] = []

    /// What begins at a register.
    private struct Symbol {
        var term: Term
        /// In bytes; nil for an address whose length the connection decides.
        var length: Int?
        /// The position in the data of a map that holds several fields.
        var field: Int?
    }

    private init(family: Family, sets: [String: NamedSet]) {
        self.family = family
        self.sets = sets
    }

    /// The statements of a rule. What nft's grammar cannot say becomes `.opaque`.
    ///
    /// - Parameters:
    ///   - family: the table's.
    ///   - sets: the table's, which tell how many registers make a key.
    public static func statements(
        of expressions: [Expression], family: Family, sets: [String: NamedSet]
    ) -> [Statement] {
        var syntax = Syntax(family: family, sets: sets)
        var rest = expressions[...]
        while let expression = rest.popFirst() {
            syntax.run(expression, before: &rest)
        }
        return syntax.statements
    }

    /// The statements of a rule of this table.
    public static func statements(of rule: Rule, in table: Table) -> [Statement] {
        statements(of: rule.expressions, family: table.id.family, sets: table.sets)
    }

    /// True when nft, loading the text of this rule, makes these very instructions: no statement is opaque, no
    /// load is left unused, and every register is the one that nft would take.
    public static func isExact(_ rule: Rule, in table: Table) -> Bool {
        Assembler.assemble(statements(of: rule, in: table), sets: table.sets) == rule.expressions
    }

    private mutating func run(_ expression: Expression, before rest: inout ArraySlice<Expression>) {
        switch expression {
        case .meta(let key, let register): set(register, .meta(key))
        case .payload(let base, let offset, let length, let register):
            set(register, .payload(base, offset: offset, length: length))
        case .conntrack(let key, let direction, let register): set(register, .conntrack(key, direction))
        case .fib(let result, let flags, let register): set(register, .fib(result, flags))
        case .numgen(let kind, let modulus, let offset, let register):
            set(register, .numgen(kind, modulus: modulus, offset: offset))
        case .immediate(let value, let register): set(register, .constant(value))
        case .bitwise(let from, let into, let mask, let xor):
            guard let term = whole(from) else { return opaque("bitwise on an empty register") }
            set(into, .bitwise(term, mask: mask, xor: xor))
        case .setMeta(let key, let register):
            guard let term = whole(register) else {
                return opaque("meta \(key.name) set from an empty register")
            }
            statements.append(.setMeta(key, term))
        case .compare(let register, let comparison, let value):
            compare(register, comparison, value, before: &rest)
        case .lookup(let set, let key, let target): lookup(set, key, target)
        case .verdict(let verdict): statements.append(.verdict(verdict))
        case .nat(let kind, let family, let address, let port, let flags):
            nat(kind, family, address, port, flags)
        case .masquerade(let flags): statements.append(.masquerade(flags: flags))
        case .reject(let rejection): statements.append(.reject(rejection))
        case .dynamicSet(let operation, let set, let key, let data, let timeout):
            dynamicSet(operation, set, key, data, timeout)
        case .counter: statements.append(.counter)
        case .unsupported(let name): opaque(name)
        }
    }

    private mutating func set(_ register: Register, _ term: Term) {
        registers[register.index] = Symbol(term: term, length: term.length)
    }

    /// The term that begins at the register, unless it is one field of several.
    private func whole(_ register: Register) -> Term? {
        guard let symbol = registers[register.index], symbol.field == nil else { return nil }
        return symbol.term
    }

    private mutating func opaque(_ text: String) { statements.append(.opaque(text)) }

    /// The key or data of a set, from as many registers as its shape takes.
    private func term(_ shape: Shape, at register: Register) -> Term? {
        guard shape.isConcatenation else {
            guard let symbol = registers[register.index], symbol.field == nil,
                (symbol.length ?? shape.length) == shape.length
            else { return nil }
            return symbol.term
        }
        var terms: [Term] = []
        var index = register.index
        for type in shape.types {
            guard index < registers.count, let symbol = registers[index], symbol.field == nil,
                (symbol.length ?? type.length) == type.length
            else { return nil }
            terms.append(symbol.term)
            index += (type.length + 3) / 4
        }
        return .concatenation(terms)
    }

    private mutating func compare(
        _ register: Register, _ comparison: Expression.Comparison, _ value: RegisterValue,
        before rest: inout ArraySlice<Expression>
    ) {
        guard let term = whole(register) else { return opaque("comparison of an empty register") }
        let isEquality = comparison == .equal || comparison == .notEqual
        if comparison == .greaterOrEqual, case .compare(register, .lessOrEqual, let last)? = rest.first {
            rest.removeFirst()
            statements.append(.match(term, .equal, .range(value, last)))
            return
        }
        if isEquality, case .bitwise(let inner, let mask, let xor) = term, xor.isZero {
            if inner.kind(in: family).isAddress, let bits = mask.prefixBits {
                statements.append(.match(inner, comparison, .prefix(value, bits: bits)))
                return
            }
            if value.isZero, [.ctState, .ctStatus].contains(inner.kind(in: family)) {
                let any: Expression.Comparison = comparison == .notEqual ? .equal : .notEqual
                statements.append(.match(inner, any, .flags(mask)))
                return
            }
        }
        if isEquality, case .payload(let base, let offset, let length) = term,
            let address = PayloadField.address(base, offset: offset, prefix: length, in: family),
            let full = address.length, value.count == Int(length)
        {
            statements.append(
                .match(address, comparison, .prefix(value.padded(to: full), bits: value.count * 8)))
            return
        }
        let length = registers[register.index]?.length ?? value.count
        if value.count == length {
            statements.append(.match(term, comparison, .value(value)))
        } else if isEquality, value.count < length, term.kind(in: family).isAddress {
            statements.append(
                .match(term, comparison, .prefix(value.padded(to: length), bits: value.count * 8)))
        } else if isEquality, value.count < length, term.kind(in: family) == .interfaceName {
            statements.append(.match(term, comparison, .beginning(value)))
        } else {
            opaque("comparison of \(length) bytes with \(value)")
        }
    }

    private mutating func lookup(_ name: String, _ register: Register, _ target: Expression.LookupTarget) {
        guard let set = sets[name] else { return opaque("lookup in @\(name), which the table does not hold") }
        guard let key = term(set.key, at: register) else {
            return opaque("lookup in @\(name) of registers that do not make its key")
        }
        switch target {
        case .membership: statements.append(.match(key, .equal, .set(name)))
        case .absence: statements.append(.match(key, .notEqual, .set(name)))
        case .verdict: statements.append(.verdictMap(key, name: name))
        case .data(let into):
            guard case .value(let shape)? = set.data else {
                return opaque("data of @\(name), which has none")
            }
            let map = Term.map(key: key, name: name)
            guard shape.isConcatenation else {
                registers[into.index] = Symbol(term: map, length: shape.length)
                return
            }
            var index = into.index
            for (field, type) in shape.types.enumerated() where index < registers.count {
                registers[index] = Symbol(term: map, length: type.length, field: field)
                index += (type.length + 3) / 4
            }
        }
    }

    private mutating func nat(
        _ kind: Expression.NATKind, _ family: Family, _ address: Register?, _ port: Register?,
        _ flags: Expression.NATFlags
    ) {
        let destination: Statement.Destination
        switch (address, port) {
        case (let address?, let port?):
            if let a = registers[address.index], let p = registers[port.index], a.field == 0, p.field == 1,
                a.term == p.term
            {
                destination = .addressAndPort(a.term)
            } else if let a = whole(address), let p = whole(port) {
                destination = .addressPort(address: a, port: p)
            } else {
                return opaque("translation from registers of unknown origin")
            }
        case (let address?, nil):
            guard let term = whole(address) else { return opaque("translation to an unknown address") }
            destination = .address(term)
        case (nil, let port?):
            guard let term = whole(port) else { return opaque("translation to an unknown port") }
            destination = .port(term)
        case (nil, nil): return opaque("translation to nowhere")
        }
        statements.append(.nat(kind, family, to: destination, flags: flags))
    }

    private mutating func dynamicSet(
        _ operation: Expression.DynamicOperation, _ name: String, _ keyRegister: Register,
        _ dataRegister: Register?, _ timeout: UInt64?
    ) {
        guard let set = sets[name] else { return opaque("change of @\(name), which the table does not hold") }
        guard let key = term(set.key, at: keyRegister) else {
            return opaque("change of @\(name) from registers that do not make its key")
        }
        var data: Term?
        if let dataRegister {
            guard case .value(let shape)? = set.data, let term = term(shape, at: dataRegister) else {
                return opaque("change of @\(name) from registers that do not make its data")
            }
            data = term
        }
        statements.append(.dynamicSet(operation, set: name, key: key, data: data, timeout: timeout))
    }
}
