import ArgumentParser
import ClusterGenerator
import Foundation
import TestNetwork

/// What the real nft makes of the rule set, with the seconds that each look took.
enum NFTCheck {
    struct Look: Codable {
        let command: String
        let seconds: Double
        /// What nft said against it; nil when it succeeded.
        let failure: String?
    }

    /// - Parameters:
    ///   - manifest: the cluster's, for the dry run.
    ///   - namespace: where the cluster is in force.
    static func run(manifest: String, in namespace: Namespace) throws -> [Look] {
        let sluice = try directoryOfThisProgram().appending(path: "sluice").path
        guard access(sluice, X_OK) == 0 else {
            throw ValidationError("--check-nft needs \(sluice): swift build -c release --product sluice")
        }
        let script = manifest + ".nft"
        defer { unlink(script) }
        let dryRun =
            "\(sluice) run --dry-run -f \(manifest) --hostname-override \(GeneratedCluster.nodeName(0))"
        // An nft that is killed, by an assertion or for its memory, is one that fails.
        return [
            look("nft list ruleset", "nft list ruleset >/dev/null", namespace),
            look("nft -j list ruleset", "nft -j list ruleset >/dev/null", namespace),
            look("sluice run --dry-run", "\(dryRun) >\(script)", namespace),
            look("nft --check -f (dry run)", "nft --check -f \(script)", namespace),
        ]
    }

    private static func look(_ name: String, _ command: String, _ namespace: Namespace) -> Look {
        let watch = Stopwatch()
        var failure: String?
        do { try namespace.command("sh", "-c", command) } catch { failure = "\(error)" }
        return Look(command: name, seconds: watch.seconds, failure: failure)
    }
}
