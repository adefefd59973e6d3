import NFTables
import NFTablesKernel

/// The netlink messages that operations take: one each, and for elements as many as their bytes need.
///
/// Written from the attribute layouts of linux/netfilter/nf_tables.h, not from the encoder: the contract compares both.
enum MessageCount {
    /// Bytes of a list of elements after which the encoder begins another message.
    private static let listLimit = 64_000

    static func summary(_ operations: [Operation]) -> CommitSummary {
        CommitSummary(messages: messages(operations), bytes: 0)
    }

    static func messages(_ operations: [Operation]) -> Int {
        let count = operations.reduce(0) { $0 + messages($1) }
        return count == 0 ? 0 : count + 2
    }

    private static func messages(_ operation: Operation) -> Int {
        switch operation {
        case .addElements(_, _, let elements): lists(elements, keyOnly: false)
        case .deleteElements(_, _, let elements), .destroyElements(_, _, let elements):
            lists(elements, keyOnly: true)
        default: 1
        }
    }

    private static func lists(_ elements: [Element], keyOnly: Bool) -> Int {
        var count = 0
        var bytes = listLimit
        for element in elements {
            if bytes >= listLimit {
                count += 1
                bytes = attribute(0)
            }
            bytes += size(element, keyOnly: keyOnly)
        }
        return count
    }

    /// A netlink attribute: four bytes of header, padded to four.
    private static func attribute(_ payload: Int) -> Int { 4 + (payload + 3) / 4 * 4 }

    private static func size(_ element: Element, keyOnly: Bool) -> Int {
        var payload = attribute(attribute(element.key.count))
        if element.isIntervalEnd { payload += attribute(4) }
        guard !keyOnly else { return attribute(payload) }
        switch element.data {
        case nil: break
        case .value(let value): payload += attribute(attribute(value.count))
        case .verdict(let verdict):
            let chain = verdict.target.map { attribute($0.utf8.count + 1) } ?? 0
            payload += attribute(attribute(attribute(4) + chain))
        }
        if element.timeout != nil { payload += attribute(8) }
        if element.expiration != nil { payload += attribute(8) }
        if let comment = element.comment {
            payload += attribute(2 + FakeRuleset.stored(comment).utf8.count + 1)
        }
        return attribute(payload)
    }
}
