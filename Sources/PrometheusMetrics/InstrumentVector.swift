import Synchronization

/// A metric with labels: one instrument for each set of label values that was asked for.
///
/// Whoever counts often keeps the instrument and doesn't ask for it each time.
public final class InstrumentVector<Member: Instrument>: Sendable {
    /// How many sets of label values there may be. What comes beyond counts together, with `overflow` as the value
    /// of every label: whatever a server answers, neither memory nor a scrape grows without end.
    public static var limit: Int { 256 }
    /// The value of all labels of the one instrument beyond the limit.
    public static var overflow: String { "other" }

    let name: String
    let help: String
    let labels: [String]
    private let make: @Sendable () -> Member
    private let members = Mutex<[[String]: Member]>([:])

    init(name: String, help: String, labels: [String], make: @escaping @Sendable () -> Member) {
        precondition(!labels.isEmpty, "\(name) has no labels")
        self.name = name
        self.help = help
        self.labels = labels
        self.make = make
    }

    /// The instrument of these label values, in the order of the labels; made when it is asked for first.
    public subscript(_ values: String...) -> Member {
        precondition(values.count == labels.count, "\(name) has the labels \(labels)")
        return members.withLock { members in
            if let member = members[values] { return member }
            let isFull = members.count >= Self.limit
            let key = isFull ? labels.map { _ in Self.overflow } : values
            if let member = members[key] { return member }
            let member = make()
            members[key] = member
            return member
        }
    }

    var family: MetricFamily {
        // Values are read outside the lock: an instrument may have one of its own.
        let all = members.withLock { $0 }
        return MetricFamily(
            name: name, help: help, kind: Member.kind, labels: labels,
            series: all.map { MetricFamily.Series(labels: $0.key, $0.value.value) })
    }
}
