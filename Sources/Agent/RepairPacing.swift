import NFTablesKernel

/// How often what others change is put right: at once, but not without end against a program that changes it again each
/// time.
///
/// A pure state machine.
struct RepairPacing: Sendable {
    /// Repairs in a row that nothing holds up.
    static let burst = 10
    /// How soon another is allowed after those.
    static let interval = Duration.seconds(1)

    enum Decision: Equatable {
        case now
        /// Ask again then.
        case after(Duration)
        /// Whoever asked before asks again.
        case waiting
    }

    /// What is to be put right.
    private(set) var pending: ForeignChange?
    private var left = Self.burst
    private var refilled: ContinuousClock.Instant?
    private var nextQuestion: ContinuousClock.Instant?

    mutating func add(_ change: ForeignChange) {
        var all = pending ?? ForeignChange()
        all.formUnion(change)
        pending = all
    }

    /// Whether `pending` is to be put right, which it then isn't any more.
    mutating func next(at now: ContinuousClock.Instant) -> Decision {
        let last = refilled ?? now
        let gained = Int((now - last) / Self.interval)
        left = min(Self.burst, left + gained)
        refilled = left == Self.burst ? now : last + Self.interval * gained
        if left > 0 {
            left -= 1
            (pending, nextQuestion) = (nil, nil)
            return .now
        }
        if let nextQuestion, nextQuestion > now { return .waiting }
        let due = (refilled ?? now) + Self.interval
        nextQuestion = due
        return .after(due - now)
    }
}
