/// When the next commit may begin, and when a failed one is tried again.
///
/// A pure state machine: it is told what happened and answers how long to wait.
public struct CommitPacing: Sendable {
    /// A pause of nine times as long follows a short commit, which so takes a tenth of the time: an idle cluster sees a
    /// change at once, and a storm is gathered into few transactions.
    static let pauseFactor = 9
    /// But what gathers makes the next commit longer, and a pause in proportion that one's, until changes wait for
    /// seconds. So a pause isn't longer than this, unless the commit was.
    static let gatheringPause = Duration.milliseconds(100)
    /// A change never waits longer for the commit before it, but where the operator wants it to.
    static let longestPause = Duration.seconds(1)
    static let firstRetry = Duration.milliseconds(100)
    static let longestRetry = Duration.seconds(30)
    /// Whoever waits for another program to end takes over soon after.
    static let longestWait = Duration.seconds(2)

    /// In a row.
    private(set) var failures = 0
    private let minimumPause: Duration

    /// - Parameter minimumPause: how soon after a commit the next may begin, however short the one was
    ///   (`minSyncPeriod`).
    public init(minimumPause: Duration = .zero) { self.minimumPause = minimumPause }

    /// A commit is in force.
    /// - Returns: how long to gather changes before the next one.
    public mutating func succeeded(took duration: Duration) -> Duration {
        failures = 0
        let pause = max(duration, min(duration * Self.pauseFactor, Self.gatheringPause))
        return max(min(pause, Self.longestPause), minimumPause)
    }

    /// A commit, and the repair after it, failed.
    /// - Parameters:
    ///   - chance: 0 to 1, spreads the nodes of a cluster that fail together.
    ///   - isOwned: whether the tables belong to another program, which is waited for.
    /// - Returns: how long to wait before trying again: twice as long each time, up to 30 s (2 s where a program is waited
    ///   for), less up to a quarter.
    public mutating func failed(chance: Double, isOwned: Bool = false) -> Duration {
        failures += 1
        let longest = isOwned ? Self.longestWait : Self.longestRetry
        let wait = min(Self.firstRetry * (1 << min(failures - 1, 15)), longest)
        return wait - wait * (chance / 4)
    }
}
