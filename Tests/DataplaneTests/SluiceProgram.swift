import Foundation
import TemporaryFiles
import TestNetwork

/// The built `sluice` executable.
enum SluiceProgram {
    static let path = BuiltProgram.find("sluice")

    /// What a program that has ended leaves.
    struct Ending {
        let status: Int32
        let output: String
        let errors: String
    }

    /// Runs it to its end.
    /// - Parameters:
    ///   - asNobody: runs it as the user `nobody`, without any capability.
    ///   - input: what it reads from standard input.
    static func run(
        _ arguments: String..., in namespace: Namespace, asNobody: Bool = false, input: String? = nil
    ) throws -> Ending {
        var command = [try path.get()] + arguments
        if asNobody { command = nobody + command }
        if let input {
            let file = try TemporaryDirectory()
            try file.write(input, to: "input")
            let words = command.map { "'\($0)'" }.joined(separator: " ")
            command = ["sh", "-c", "exec \(words) < '\(file.path)/input'"]
            return try ending(of: command, in: namespace)
        }
        return try ending(of: command, in: namespace)
    }

    static let nobody = [
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
        "--bounding-set=-all",
    ]

    private static func ending(of command: [String], in namespace: Namespace) throws -> Ending {
        let process = try namespace.start(command)
        let status = process.wait()
        return Ending(
            status: status, output: try process.standardOutput, errors: try process.standardError)
    }
}
