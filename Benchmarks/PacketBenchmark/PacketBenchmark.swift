import ArgumentParser
import ClusterGenerator
import Glibc

@main
struct PacketBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "PacketBenchmark",
        abstract: "Measure what a service proxy's rules cost packets.",
        subcommands: [Measure.self, Serve.self], defaultSubcommand: Measure.self)
}

/// What can be measured.
enum Chapter: String, ExpressibleByArgument, CaseIterable {
    case connections
    case established
    case affinity
}

/// Kinds of rules that the benchmark makes.
enum Rules: String, ExpressibleByArgument, CaseIterable {
    case sluice
    case chains
    case iptablesLegacy = "iptables-legacy"
    case iptablesNft = "iptables-nft"

    var opponent: Opponent {
        switch self {
        case .sluice: .sluice
        case .chains: .serviceChains
        case .iptablesLegacy: .iptables(.legacy)
        case .iptablesNft: .iptables(.nft)
        }
    }
}

/// A set of rules from a file, as in `mine=rules.nft`.
struct NamedScript: ExpressibleByArgument, Sendable {
    let name: String
    let path: String

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        (name, path) = (String(parts[0]), String(parts[1]))
    }
}
