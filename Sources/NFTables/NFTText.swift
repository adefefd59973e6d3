/// Prints tables as scripts that `nft -f` loads, in the layout of `nft list ruleset`.
///
/// The order doesn't depend on how a table was made: sets, then chains, by name with numbers as numbers, base
/// chains last; elements by key. A rule that nft's grammar cannot say is printed as a `#` comment.
public enum NFTText {
    /// Prints one table, piece by piece: no text of a whole set is held in memory.
    ///
    /// - Parameter replacing: begins with the deletion of the table, so that loading the script puts the new one
    ///   in the place of an old one in one transaction.
    public static func print(
        _ table: Table, replacing: Bool = false, to output: inout some TextOutputStream
    ) {
        var buffer = TextBuffer()
        if replacing {
            // Deleting what isn't there fails: the first line makes sure that it is.
            buffer += "table \(table.id) {}\ndelete table \(table.id)\n\n"
        }
        buffer += "table \(table.id) {\n"
        writeComment(table.comment, indentation: "\t", to: &buffer)
        var isFirst = table.comment == nil
        for set in TableOrder.sets(of: table) {
            if !isFirst { buffer += "\n" }
            isFirst = false
            write(set, table.elements[set.name] ?? [], to: &buffer, draining: &output)
        }
        for chain in TableOrder.chains(of: table) {
            if !isFirst { buffer += "\n" }
            isFirst = false
            write(chain, in: table, to: &buffer, draining: &output)
        }
        buffer += "}\n"
        buffer.drain(to: &output, force: true)
    }

    /// Prints several tables in order of family and name.
    public static func print(
        _ tables: some Sequence<Table>, replacing: Bool = false, to output: inout some TextOutputStream
    ) {
        for table in tables.sorted(by: { $0.id < $1.id }) {
            print(table, replacing: replacing, to: &output)
        }
    }

    /// One table as a string.
    public static func text(of table: Table, replacing: Bool = false) -> String {
        var text = ""
        print(table, replacing: replacing, to: &text)
        return text
    }

    /// One rule as a line, without indentation: `ip daddr @cluster-ips goto refuse`.
    public static func rule(_ rule: Rule, in table: Table) -> String {
        var buffer = TextBuffer(short: ())
        write(rule, in: table, to: &buffer)
        return buffer.text
    }

    /// One statement: `meta l4proto tcp`.
    public static func statement(_ statement: Statement, family: Family) -> String {
        var buffer = TextBuffer(short: ())
        StatementText(family: family).write(statement, to: &buffer)
        return buffer.text
    }

    /// One element, as between the braces of `elements`: `10.0.0.1 . tcp . 80 : goto web`.
    public static func element(_ element: Element, of set: NamedSet) -> String {
        var buffer = TextBuffer(short: ())
        write(element, last: nil, of: set, to: &buffer)
        return buffer.text
    }

    private static func writeComment(
        _ comment: String?, indentation: StaticString, to buffer: inout TextBuffer
    ) {
        guard let comment else { return }
        buffer += indentation
        buffer += "comment \""
        buffer += Comment.sanitized(comment)
        buffer += "\"\n"
    }

    private static func write(
        _ set: NamedSet, _ elements: [Element], to buffer: inout TextBuffer,
        draining output: inout some TextOutputStream
    ) {
        buffer += set.isMap ? "\tmap \(set.name) {\n" : "\tset \(set.name) {\n"
        buffer += "\t\t"
        writeType(of: set, to: &buffer)
        buffer += "\n"
        if let size = set.size { buffer += "\t\tsize \(size)\n" }
        writeFlags(of: set, to: &buffer)
        if let timeout = set.timeout {
            buffer += "\t\ttimeout "
            ValueText.write(milliseconds: timeout, to: &buffer)
            buffer += "\n"
        }
        writeComment(set.comment, indentation: "\t\t", to: &buffer)
        var count = 0
        // nft breaks lines by the width of the type; one element a line makes better differences.
        TableOrder.forEachEntry(of: elements, in: set) { entry in
            buffer += count == 0 ? "\t\telements = { " : ",\n\t\t\t     "
            count += 1
            write(elements[entry.position], last: entry.last, of: set, to: &buffer)
            buffer.drain(to: &output)
        }
        if count > 0 { buffer += " }\n" }
        buffer += "\t}\n"
    }

    private static func writeType(of set: NamedSet, to buffer: inout TextBuffer) {
        // One keyword serves key and data.
        let isTypeof = set.key.typeof != nil
        buffer += isTypeof ? "typeof " : "type "
        write(set.key, to: &buffer)
        switch set.data {
        case nil: break
        case .verdict: buffer += " : verdict"
        case .value(let shape):
            buffer += " : "
            if isTypeof, shape.typeof == nil, let expressions = shape.impliedTypeof {
                write(Shape(typeof: expressions), to: &buffer)
            } else if !isTypeof, shape.typeof != nil {
                write(Shape(types: shape.types), to: &buffer)
            } else {
                write(shape, to: &buffer)
            }
        }
    }

    private static func write(_ shape: Shape, to buffer: inout TextBuffer) {
        let names = shape.typeof.map { $0.map(\.text) } ?? shape.types.map(\.name)
        for (index, name) in names.enumerated() {
            if index > 0 { buffer += " . " }
            buffer += name
        }
    }

    private static func writeFlags(of set: NamedSet, to buffer: inout TextBuffer) {
        // nft sets the timeout flag by itself where there is a timeout, and prints none then.
        let shown = set.timeout != nil && set.flags == .timeout ? [] : set.flags.names
        for (index, flag) in shown.enumerated() {
            buffer += index == 0 ? "\t\tflags " : ","
            buffer += flag
        }
        if !shown.isEmpty { buffer += "\n" }
    }

    private static func write(
        _ element: Element, last: RegisterValue?, of set: NamedSet, to buffer: inout TextBuffer
    ) {
        ValueText.write(element.key, set.key, to: &buffer)
        if let last, last != element.key {
            let kind = set.key.types.first.map(ValueKind.init)
            if let kind, kind.isAddress, let bits = element.key.prefixLength(to: last) {
                buffer += "/"
                buffer.append(number: bits)
            } else {
                buffer += "-"
                ValueText.write(last, set.key, to: &buffer)
            }
        }
        if let timeout = element.timeout {
            buffer += " timeout "
            ValueText.write(milliseconds: timeout, to: &buffer)
        }
        if let expiration = element.expiration {
            buffer += " expires "
            ValueText.write(milliseconds: expiration, to: &buffer)
        }
        if let comment = element.comment {
            buffer += " comment \""
            buffer += Comment.sanitized(comment)
            buffer += "\""
        }
        switch element.data {
        case nil: break
        case .verdict(let verdict):
            buffer += " : "
            ValueText.write(verdict, to: &buffer)
        case .value(let value):
            buffer += " : "
            if case .value(let shape)? = set.data {
                ValueText.write(value, shape, to: &buffer)
            } else {
                ValueText.write(value, .networkNumber, to: &buffer)
            }
        }
    }

    private static func write(
        _ chain: Chain, in table: Table, to buffer: inout TextBuffer,
        draining output: inout some TextOutputStream
    ) {
        buffer += "\tchain \(chain.name) {\n"
        writeComment(chain.comment, indentation: "\t\t", to: &buffer)
        if let base = chain.base {
            buffer += "\t\ttype \(base.kind.rawValue) hook \(base.hook) priority "
            buffer += priority(of: base)
            buffer += base.policy == .drop ? "; policy drop;\n" : "; policy accept;\n"
        }
        for rule in chain.rules {
            buffer += "\t\t"
            write(rule, in: table, to: &buffer)
            buffer += "\n"
            buffer.drain(to: &output)
        }
        buffer += "\t}\n"
        buffer.drain(to: &output)
    }

    private static func write(_ rule: Rule, in table: Table, to buffer: inout TextBuffer) {
        let statements = Syntax.statements(of: rule, in: table)
        if statements.contains(where: \.isOpaque) { buffer += "# nft cannot say this: " }
        StatementText(family: table.id.family).write(statements, to: &buffer)
        if let comment = rule.comment {
            buffer += " comment \""
            buffer += Comment.sanitized(comment)
            buffer += "\""
        }
    }

    /// A priority by nft's name for it, where one lies within ten: `srcnat - 1`.
    static func priority(of base: BaseChain) -> String {
        var names: [(value: Int32, name: String)] = [
            (-300, "raw"), (-150, "mangle"), (0, "filter"), (50, "security"),
        ]
        if base.hook == .prerouting { names.append((-100, "dstnat")) }
        if base.hook == .postrouting { names.append((100, "srcnat")) }
        for (value, name) in names {
            let (difference, overflow) = base.priority.subtractingReportingOverflow(value)
            guard !overflow, (-10...10).contains(difference) else { continue }
            return difference == 0 ? name : "\(name) \(difference < 0 ? "-" : "+") \(abs(difference))"
        }
        return String(base.priority)
    }
}

extension Statement {
    var isOpaque: Bool {
        if case .opaque = self { true } else { false }
    }
}

extension SelectorExpression {
    /// nft's text.
    var text: String {
        switch self {
        case .ipSaddr: "ip saddr"
        case .ipDaddr: "ip daddr"
        case .ip6Saddr: "ip6 saddr"
        case .ip6Daddr: "ip6 daddr"
        case .thSport: "th sport"
        case .thDport: "th dport"
        case .numgenIncremental(let modulus): "numgen inc mod \(modulus)"
        }
    }
}

extension Shape {
    /// Expressions of these types, for a map whose other half is declared by `typeof`.
    var impliedTypeof: [SelectorExpression]? {
        var result: [SelectorExpression] = []
        for type in types {
            switch type {
            case .ipv4Address: result.append(.ipDaddr)
            case .ipv6Address: result.append(.ip6Daddr)
            case .internetService: result.append(.thDport)
            default: return nil
            }
        }
        return result
    }
}
