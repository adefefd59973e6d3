import ArgumentParser
import Dispatch
import Glibc
import KubeProxyFlags

struct Sluice: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice",
        abstract: "A Kubernetes service proxy: turns Services and EndpointSlices into nftables rules.",
        discussion: """
            Sluice replaces kube-proxy on a node. It keeps two nftables tables, `ip sluice` and `ip6 sluice`, and
            touches nothing else, unless it is asked to remove what kube-proxy left. Look at what it would do before you
            let it:

              sluice run --dry-run -f manifests/

            It takes kube-proxy's command line, also without `run`:

              sluice --config=/var/lib/kube-proxy/config.conf --hostname-override=node-1

            Exit codes: 0 done, 1 failed, 64 wrong usage.
            """,
        version: "sluice \(Version.number)",
        subcommands: [Run.self, PreflightCommand.self, CleanupCommand.self, VersionCommand.self],
        defaultSubcommand: Run.self)

    static func main() async {
        await main(CommandLineForms.normalized(Array(CommandLine.arguments.dropFirst())))
    }
}

@main
enum Program {
    /// Not asynchronous, so that signals are in hand before the runtime has any thread but this one.
    static func main() {
        EarlySignals.arm()
        Task {
            await Sluice.main()
            exit(EXIT_SUCCESS)
        }
        dispatchMain()
    }
}

enum Version {
    static let number = "0.1.0"
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Print the version.")

    func run() {
        print("sluice \(Version.number)")
    }
}
