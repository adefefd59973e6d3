import KubernetesAPI

/// The problems that stand, by Service, so that each is told once when it comes and once when it goes.
struct ProblemRegister {
    private var standing: [ObjectName: Set<ObjectProblem>] = [:]

    /// - Returns: the problems that are new, and those that are over, in the order of their text.
    mutating func update(
        _ name: ObjectName, _ problems: [ObjectProblem]
    ) -> (new: [ObjectProblem], over: [ObjectProblem]) {
        let before = standing[name] ?? []
        let now = Set(problems)
        standing[name] = now.isEmpty ? nil : now
        count += now.count - before.count
        func sorted(_ set: Set<ObjectProblem>) -> [ObjectProblem] {
            set.sorted { $0.description < $1.description }
        }
        return (sorted(now.subtracting(before)), sorted(before.subtracting(now)))
    }

    private(set) var count = 0
}
