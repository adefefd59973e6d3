public import KubernetesAPI

/// What of Services can't be programmed as asked, as one update changed it; a problem that stands is in neither list.
public struct CompilerProblems: Sendable, Equatable {
    /// Those that weren't there before, in the order of their text.
    public var new: [ObjectProblem] = []
    /// Those that are over, in the order of their text.
    public var past: [ObjectProblem] = []

    public init() {}

    init(_ changed: [(old: CompiledService, new: CompiledService)]) {
        func sorted(_ problems: [ObjectProblem]) -> [ObjectProblem] {
            problems.sorted { $0.description < $1.description }
        }
        new = sorted(changed.flatMap { $0.new.problems.subtracting($0.old.problems) })
        past = sorted(changed.flatMap { $0.old.problems.subtracting($0.new.problems) })
    }

    public var isEmpty: Bool { new.isEmpty && past.isEmpty }

    /// Adds what came and went later; what came and went again is in neither list.
    public mutating func append(_ later: CompilerProblems) {
        let (before, over) = (new, past)
        new = before.filter { !later.past.contains($0) } + later.new.filter { !over.contains($0) }
        past = over.filter { !later.new.contains($0) } + later.past.filter { !before.contains($0) }
    }
}
