import ArgumentParser
import NodeChecks
import NodeInspection

struct PreflightCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "preflight",
        abstract: "Check whether Sluice can work on this node; change nothing.",
        discussion: """
            Looks at the kernel, the rights, connection tracking, what the host does with packets on their way, and who
            else translates addresses; and has the kernel take the rules of Services of every kind, in a network namespace
            made for it (CAP_SYS_ADMIN), or else in transactions that it takes back.

            Each check is ok, a note, a warning or a failure. What is to be done about it stands below.

            Exit codes: 0 no failure, 1 a failure, 64 wrong usage.
            """)

    enum Output: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
    }

    @Option(help: "For people, or for programs.")
    var output = Output.text

    func run() throws {
        let report = NodeReport(NodeInspection.facts())
        switch output {
        case .text: print(report.text, terminator: "")
        case .json: print(try report.json())
        }
        guard report.isReady else { throw ExitCode.failure }
    }
}
