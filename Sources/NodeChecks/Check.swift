/// One thing that was looked at on a node, and what is to be said of it.
public struct Check: Sendable, Equatable {
    public enum State: String, Sendable, Equatable, CaseIterable {
        case ok
        /// Good to know; service needs nothing of it.
        case note
        /// Some connections may not fare as they should.
        case warning
        /// Sluice can't work here.
        case failure
    }

    /// What was looked at; the same on every node.
    public let name: String
    public let state: State
    public let found: String
    /// What to do about it, in a sentence; nil when all is well.
    public let advice: String?

    public static func ok(_ name: String, _ found: String) -> Check {
        Check(name: name, state: .ok, found: found, advice: nil)
    }

    public static func note(_ name: String, _ found: String, advice: String) -> Check {
        Check(name: name, state: .note, found: found, advice: advice)
    }

    public static func warning(_ name: String, _ found: String, advice: String) -> Check {
        Check(name: name, state: .warning, found: found, advice: advice)
    }

    public static func failure(_ name: String, _ found: String, advice: String) -> Check {
        Check(name: name, state: .failure, found: found, advice: advice)
    }
}
