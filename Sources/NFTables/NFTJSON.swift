/// Prints tables as documents of libnftables-json(5), which `nft -j -f` loads.
///
/// Unlike in a script, each object is a command of its own and may only name what stands before it: table,
/// chains, sets, rules, and the elements last (binding a set to a rule costs the kernel time for every element
/// that it holds).
///
/// nft 1.0.6 knows no JSON for `typeof`, the `dynamic` flag and updates of maps; these are written as nft 1.1.2
/// writes them. It also crashes on rules that use a map of concatenated data which it was given as JSON; give it a
/// script then (`NFTText`). Timeouts are whole seconds in JSON.
public enum NFTJSON {
    /// Prints one document, piece by piece.
    ///
    /// - Parameter replacing: begins with the deletion of each table, so that loading the document puts the new
    ///   ones in the place of older ones in one transaction.
    public static func print(
        _ tables: some Sequence<Table>, replacing: Bool = false, to output: inout some TextOutputStream
    ) {
        var document = Document(output: output)
        document.begin()
        let sorted = tables.sorted { $0.id < $1.id }
        for table in sorted { document.write(table, replacing: replacing) }
        document.end()
        output = document.output
    }

    /// Prints a document with one table.
    public static func print(
        _ table: Table, replacing: Bool = false, to output: inout some TextOutputStream
    ) {
        print(CollectionOfOne(table), replacing: replacing, to: &output)
    }

    /// One table's document as a string.
    public static func text(of table: Table, replacing: Bool = false) -> String {
        var text = ""
        print(table, replacing: replacing, to: &text)
        return text
    }
}

private struct Document<Output: TextOutputStream> {
    var output: Output
    var json = JSONWriter()

    init(output: Output) { self.output = output }

    mutating func begin() {
        json.beginObject()
        json.key("nftables")
        json.beginArray()
        json.object { json in
            json.member("metainfo") { $0.member("json_schema_version", number: 1) }
        }
    }

    mutating func end() {
        json.endArray()
        json.endObject()
        json.line()
        json.drain(to: &output, force: true)
    }

    /// One member of the document's array, on a line of its own.
    private mutating func item(_ body: (inout JSONWriter) -> Void) {
        json.object(body)
        json.line()
        json.drain(to: &output)
    }

    mutating func write(_ table: Table, replacing: Bool) {
        let id = table.id
        if replacing {
            item { $0.member("add") { Self.write(id, comment: nil, to: &$0) } }
            item { $0.member("delete") { Self.write(id, comment: nil, to: &$0) } }
        }
        item { Self.write(id, comment: table.comment, to: &$0) }
        let chains = TableOrder.chains(of: table)
        let sets = TableOrder.sets(of: table)
        for chain in chains { item { Self.write(chain, of: id, to: &$0) } }
        for set in sets { item { Self.write(set, of: id, to: &$0) } }
        let statements = StatementJSON(family: id.family)
        for chain in chains {
            for rule in chain.rules {
                item { json in
                    json.member("rule") { json in
                        Self.write(table: id, to: &json)
                        json.member("chain", chain.name)
                        if let comment = rule.comment { json.member("comment", Comment.sanitized(comment)) }
                        json.key("expr")
                        json.array { json in
                            for statement in Syntax.statements(of: rule, in: table) {
                                statements.write(statement, to: &json)
                            }
                        }
                    }
                }
            }
        }
        for set in sets { write(table.elements[set.name] ?? [], of: set, in: id) }
    }

    private static func write(table id: TableID, to json: inout JSONWriter) {
        json.member("family", id.family.description)
        json.member("table", id.name)
    }

    private static func write(_ id: TableID, comment: String?, to json: inout JSONWriter) {
        json.member("table") { json in
            json.member("family", id.family.description)
            json.member("name", id.name)
            if let comment { json.member("comment", Comment.sanitized(comment)) }
        }
    }

    private static func write(_ chain: Chain, of id: TableID, to json: inout JSONWriter) {
        json.member("chain") { json in
            write(table: id, to: &json)
            json.member("name", chain.name)
            if let base = chain.base {
                json.member("type", base.kind.rawValue)
                json.member("hook", "\(base.hook)")
                json.member("prio", number: base.priority)
                json.member("policy", "\(base.policy)")
            }
            if let comment = chain.comment { json.member("comment", Comment.sanitized(comment)) }
        }
    }

    private static func write(_ set: NamedSet, of id: TableID, to json: inout JSONWriter) {
        json.member(set.isMap ? "map" : "set") { json in
            write(table: id, to: &json)
            json.member("name", set.name)
            json.key("type")
            write(set.key, family: id.family, to: &json)
            switch set.data {
            case nil: break
            case .verdict: json.member("map", "verdict")
            case .value(let shape):
                json.key("map")
                write(types: shape.types, to: &json)
            }
            if let size = set.size { json.member("size", number: size) }
            let flags = set.flags.names
            if !flags.isEmpty {
                json.key("flags")
                json.array { json in
                    for flag in flags { json.string(flag) }
                }
            }
            if let timeout = set.timeout { json.member("timeout", number: timeout / 1000) }
            if let comment = set.comment { json.member("comment", Comment.sanitized(comment)) }
        }
    }

    private static func write(types: [Datatype], to json: inout JSONWriter) {
        if let type = types.first, types.count == 1 { return json.string(type.name) }
        json.array { json in
            for type in types { json.string(type.name) }
        }
    }

    private static func write(_ shape: Shape, family: Family, to json: inout JSONWriter) {
        guard let expressions = shape.typeof else { return write(types: shape.types, to: &json) }
        json.object { json in
            json.key("typeof")
            let term = Term(concatenating: expressions.map(\.term))
            StatementJSON(family: family).write(term, to: &json)
        }
    }

    private mutating func write(_ elements: [Element], of set: NamedSet, in id: TableID) {
        guard !elements.isEmpty else { return }
        json.beginObject()
        json.key("element")
        json.beginObject()
        Self.write(table: id, to: &json)
        json.member("name", set.name)
        json.key("elem")
        json.beginArray()
        TableOrder.forEachEntry(of: elements, in: set) { entry in
            Self.write(elements[entry.position], last: entry.last, of: set, to: &json)
            json.drain(to: &output)
        }
        json.endArray()
        json.endObject()
        json.endObject()
        json.line()
    }

    private static func write(
        _ element: Element, last: RegisterValue?, of set: NamedSet, to json: inout JSONWriter
    ) {
        guard let data = element.data else { return write(key: element, last: last, of: set, to: &json) }
        json.array { json in
            write(key: element, last: last, of: set, to: &json)
            switch data {
            case .verdict(let verdict): json.object { StatementJSON.write(member: verdict, to: &$0) }
            case .value(let value):
                if case .value(let shape)? = set.data { write(value, shape, to: &json) }
            }
        }
    }

    private static func write(
        key element: Element, last: RegisterValue?, of set: NamedSet, to json: inout JSONWriter
    ) {
        guard element.timeout != nil || element.expiration != nil || element.comment != nil else {
            return write(value: element.key, last: last, of: set, to: &json)
        }
        json.object { json in
            json.member("elem") { json in
                json.key("val")
                write(value: element.key, last: last, of: set, to: &json)
                if let timeout = element.timeout { json.member("timeout", number: timeout / 1000) }
                if let expiration = element.expiration { json.member("expires", number: expiration / 1000) }
                if let comment = element.comment { json.member("comment", Comment.sanitized(comment)) }
            }
        }
    }

    private static func write(
        value key: RegisterValue, last: RegisterValue?, of set: NamedSet, to json: inout JSONWriter
    ) {
        guard let last, last != key else { return write(key, set.key, to: &json) }
        if let kind = set.key.types.first.map(ValueKind.init), kind.isAddress,
            let bits = key.prefixLength(to: last)
        {
            StatementJSON.write(prefix: bits, to: &json) { StatementJSON.write(key, kind, to: &$0) }
            return
        }
        json.object { json in
            json.key("range")
            json.array { json in
                write(key, set.key, to: &json)
                write(last, set.key, to: &json)
            }
        }
    }

    private static func write(_ value: RegisterValue, _ shape: Shape, to json: inout JSONWriter) {
        if let type = shape.types.first, !shape.isConcatenation {
            return StatementJSON.write(value, ValueKind(type), to: &json)
        }
        json.object { json in
            json.key("concat")
            json.array { json in
                var start = 0
                for type in shape.types {
                    StatementJSON.write(value, from: start, ValueKind(type), to: &json)
                    start += (type.length + 3) / 4 * 4
                }
            }
        }
    }
}

extension NamedSet.Flags {
    /// nft's names.
    var names: [String] {
        let all: [(flag: Self, name: String)] = [
            (.constant, "constant"), (.dynamic, "dynamic"), (.interval, "interval"), (.timeout, "timeout"),
        ]
        return all.filter { contains($0.flag) }.map(\.name)
    }
}

extension SelectorExpression {
    /// The expression as a rule would use it.
    var term: Term {
        switch self {
        case .ipSaddr: .ipSaddr
        case .ipDaddr: .ipDaddr
        case .ip6Saddr: .ip6Saddr
        case .ip6Daddr: .ip6Daddr
        case .thSport: .thSport
        case .thDport: .thDport
        case .numgenIncremental(let modulus): .numgenIncremental(modulus: modulus)
        }
    }
}
