internal import CYaml

/// What the keys of a YAML text cost whoever makes a tree of it.
///
/// The builder of trees compares the keys of each mapping, whatever they are. A key that is a list of aliases to lists
/// of aliases, ten lines in all, or one inside a key inside a key, would keep it busy for years.
package struct YAMLKeys {
    package struct Refusal: Error, Equatable {
        /// Counted from 1.
        package let line: Int
        package let message: String

        package init(line: Int, message: String) {
            self.line = line
            self.message = message
        }
    }

    /// A list or mapping that hasn't ended.
    private struct Open {
        var isMapping: Bool
        /// It is itself a key.
        var isKey: Bool
        var anchor: String?
        var children = 0
        var cost = 1
    }

    /// As many nodes as are compared in some milliseconds. No real file has a key that is more than a text.
    private static let limit = 10_000
    /// Where costs stop to be counted; far beyond the limit, and far from what a number holds.
    private static let ceiling = 1 << 40

    /// What each anchor stands for.
    private var anchors: [String: Int] = [:]
    private var open: [Open] = []
    private var keyCost = 0

    /// Looks through a text up to its first error, which is for others to tell.
    ///
    /// - Throws: `Refusal` for keys that are too large to compare.
    package static func check(_ text: String) throws(Refusal) {
        var text = text
        // No closure may throw a typed error through `withUTF8`.
        let result = text.withUTF8 { bytes in Result { () throws(Refusal) in try check(bytes) } }
        try result.get()
    }

    private static func check(_ bytes: UnsafeBufferPointer<UInt8>) throws(Refusal) {
        var parser = yaml_parser_t()
        guard yaml_parser_initialize(&parser) == 1 else { return }
        defer { yaml_parser_delete(&parser) }
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(&parser, bytes.baseAddress, bytes.count)
        var keys = YAMLKeys()
        while true {
            var event = yaml_event_t()
            guard yaml_parser_parse(&parser, &event) == 1 else { return }
            defer { yaml_event_delete(&event) }
            if event.type == YAML_STREAM_END_EVENT { return }
            keys.take(event)
            guard keys.keyCost <= limit else {
                throw Refusal(
                    line: Int(event.start_mark.line) + 1,
                    message: "keys that are lists or mappings, too large to compare")
            }
        }
    }

    private mutating func take(_ event: yaml_event_t) {
        switch event.type {
        case YAML_SCALAR_EVENT:
            // A long text costs as much as many nodes.
            let own = 1 + event.data.scalar.length >> 10
            _ = isNextKey()
            add(own)
            note(Self.text(event.data.scalar.anchor), own)
        case YAML_ALIAS_EVENT:
            let own = Self.text(event.data.alias.anchor).flatMap { anchors[$0] } ?? 1
            if isNextKey() { keyCost = Self.sum(keyCost, own) }
            add(own)
        case YAML_SEQUENCE_START_EVENT:
            let anchor = Self.text(event.data.sequence_start.anchor)
            open.append(Open(isMapping: false, isKey: isNextKey(), anchor: anchor))
        case YAML_MAPPING_START_EVENT:
            let anchor = Self.text(event.data.mapping_start.anchor)
            open.append(Open(isMapping: true, isKey: isNextKey(), anchor: anchor))
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
            guard let ended = open.popLast() else { return }
            if ended.isKey { keyCost = Self.sum(keyCost, ended.cost) }
            note(ended.anchor, ended.cost)
            add(ended.cost)
        default: break
        }
    }

    /// Counts one more child of what is open; true when it is a key.
    private mutating func isNextKey() -> Bool {
        guard let last = open.indices.last else { return false }
        defer { open[last].children += 1 }
        return open[last].isMapping && open[last].children.isMultiple(of: 2)
    }

    private mutating func add(_ own: Int) {
        guard let last = open.indices.last else { return }
        open[last].cost = Self.sum(open[last].cost, own)
    }

    /// Anchors hold for all that follows, in other documents too: so has it the builder.
    private mutating func note(_ anchor: String?, _ own: Int) {
        if let anchor { anchors[anchor] = own }
    }

    private static func sum(_ a: Int, _ b: Int) -> Int { min(a + b, ceiling) }

    private static func text(_ name: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        name.map { String(cString: $0) }
    }
}
