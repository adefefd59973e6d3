/// Makes the instructions of a rule as nft 1.0.6 does, register for register, so that a rule written by netlink
/// and the same rule loaded as text are equal in the kernel.
///
/// nft starts every statement with all registers free. It hands them out in units of 128 bits, and puts the
/// fields of a concatenation side by side in 32-bit registers.
public struct Assembler {
    private let sets: [String: NamedSet]
    private var expressions: [Expression] = []

    /// - Parameter sets: those that the statements name; NAT from a map needs the shape of its data.
    public init(sets: [String: NamedSet] = [:]) { self.sets = sets }

    /// The instructions of a rule. An opaque statement has none.
    public static func assemble(_ statements: [Statement], sets: [String: NamedSet] = [:]) -> [Expression] {
        var assembler = Assembler(sets: sets)
        for statement in statements { assembler.add(statement) }
        return assembler.expressions
    }

    private mutating func add(_ statement: Statement) {
        switch statement {
        case .match(let term, let comparison, let operand): match(term, comparison, operand)
        case .verdictMap(let key, let name):
            load(key, at: 0)
            expressions.append(.lookup(set: name, key: 0, .verdict))
        case .verdict(let verdict): expressions.append(.verdict(verdict))
        case .nat(let kind, let family, let destination, let flags):
            nat(kind, family, destination, flags)
        case .masquerade(let flags): expressions.append(.masquerade(flags: flags))
        case .reject(let rejection): expressions.append(.reject(rejection))
        case .dynamicSet(let operation, let set, let key, let data, let timeout):
            let dataRegister = (width(of: key) + 15) / 16 * 4
            load(key, at: 0)
            if let data { load(data, at: dataRegister) }
            expressions.append(
                .dynamicSet(
                    operation, set: set, key: 0, data: data == nil ? nil : Register(dataRegister),
                    timeout: timeout))
        case .counter: expressions.append(.counter)
        case .setMeta(let key, let term):
            load(term, at: 0)
            expressions.append(.setMeta(key, from: 0))
        case .opaque: break
        }
    }

    private mutating func match(
        _ term: Term, _ comparison: Expression.Comparison, _ operand: Statement.Operand
    ) {
        switch operand {
        case .value(let value), .beginning(let value):
            load(term, at: 0)
            expressions.append(.compare(0, comparison, value))
        case .range(let first, let last):
            load(term, at: 0)
            expressions.append(.compare(0, .greaterOrEqual, first))
            expressions.append(.compare(0, .lessOrEqual, last))
        case .flags(let flags):
            let none = RegisterValue(repeatElement(0, count: flags.count))
            load(.bitwise(term, mask: flags, xor: none), at: 0)
            expressions.append(.compare(0, comparison == .equal ? .notEqual : .equal, none))
        case .set(let name):
            load(term, at: 0)
            let target: Expression.LookupTarget = comparison == .notEqual ? .absence : .membership
            expressions.append(.lookup(set: name, key: 0, target))
        case .prefix(let address, let bits) where bits % 8 == 0 && bits > 0:
            let value = address.prefix(bits / 8)
            if case .payload(let base, let offset, _) = term {
                expressions.append(.payload(base, offset: offset, length: UInt32(bits / 8), into: 0))
            } else {
                load(term, at: 0)
            }
            expressions.append(.compare(0, comparison, value))
        case .prefix(let address, let bits):
            let mask = RegisterValue.mask(bits: bits, length: address.count)
            let none = RegisterValue(repeatElement(0, count: address.count))
            load(.bitwise(term, mask: mask, xor: none), at: 0)
            expressions.append(.compare(0, comparison, address))
        }
    }

    private mutating func nat(
        _ kind: Expression.NATKind, _ family: Family, _ destination: Statement.Destination,
        _ flags: Expression.NATFlags
    ) {
        switch destination {
        case .address(let term):
            load(term, at: 0)
            expressions.append(.nat(kind, family, address: 0, port: nil, flags: flags))
        case .port(let term):
            load(term, at: 0)
            expressions.append(.nat(kind, family, address: nil, port: 0, flags: flags))
        case .addressPort(let address, let port):
            load(address, at: 0)
            load(port, at: 4)
            expressions.append(.nat(kind, family, address: 0, port: 4, flags: flags))
        case .addressAndPort(let term):
            load(term, at: 0)
            let port: Register = family == .ip6 ? 4 : 1
            expressions.append(.nat(kind, family, address: 0, port: port, flags: flags))
        }
    }

    /// Bytes in registers, each field of a concatenation padded to whole ones.
    private func width(of term: Term) -> Int {
        switch term {
        case .concatenation(let terms): terms.reduce(0) { $0 + (width(of: $1) + 3) / 4 * 4 }
        case .map(_, let name):
            if case .value(let shape) = sets[name]?.data { shape.length } else { 4 }
        default: term.length ?? 16
        }
    }

    private mutating func load(_ term: Term, at index: Int) {
        let register = Register(index)
        switch term {
        case .payload(let base, let offset, let length):
            expressions.append(.payload(base, offset: offset, length: length, into: register))
        case .meta(let key): expressions.append(.meta(key, into: register))
        case .conntrack(let key, let direction):
            expressions.append(.conntrack(key, direction: direction, into: register))
        case .fib(let result, let flags): expressions.append(.fib(result, flags, into: register))
        case .numgen(let kind, let modulus, let offset):
            expressions.append(.numgen(kind, modulus: modulus, offset: offset, into: register))
        case .bitwise(let inner, let mask, let xor):
            load(inner, at: index)
            expressions.append(.bitwise(from: register, into: register, mask: mask, xor: xor))
        case .constant(let value): expressions.append(.immediate(value, into: register))
        case .concatenation(let terms):
            var next = index
            for term in terms {
                load(term, at: next)
                next += (width(of: term) + 3) / 4
            }
        case .map(let key, let name):
            load(key, at: index)
            expressions.append(.lookup(set: name, key: register, .data(register)))
        }
    }
}

extension Rule {
    /// A rule from statements, with the instructions that nft would make.
    ///
    /// - Parameter sets: those whose data is loaded into a concatenation or by `update`; the rest may be left out.
    public init(_ statements: [Statement], sets: [String: NamedSet] = [:], comment: String? = nil) {
        self.init(expressions: Assembler.assemble(statements, sets: sets), comment: comment)
    }
}
