import HostFiles
import HostProcess
import NFTablesKernel
import Ruleset

/// That one Sluice writes rules in a network namespace, whether or not it owns its tables.
enum RulesetLock {
    private static let lock = RunLock("sluice.rules")

    /// Claims it for this process, until its end.
    ///
    /// - Throws: `KernelError.owned` while another has it.
    static func claim() throws(KernelError) {
        guard let holder = lock.take(), let table = ObjectNames.tables.first else { return }
        let name = HostFiles.text("/proc/\(holder.processID)/comm")?.split(separator: "\n").first
        throw .owned(
            object: "table \(table)",
            by: name.map { "\($0) (process \(holder.processID))" } ?? "a Sluice in another container")
    }
}
