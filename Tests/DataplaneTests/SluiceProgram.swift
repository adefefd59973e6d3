import Foundation
import TemporaryFiles
import TestNetwork

/// The built `sluice` executable.
enum SluiceProgram {
    struct NotFound: Error, CustomStringConvertible {
        let looked: [String]
        var description: String { "no executable `sluice` in \(looked.joined(separator: ", "))" }
    }

    /// Where the build left it: beside the test bundle, or in a directory above it.
    static let path: Result<String, NotFound> = {
        let programs = ["/proc/self/exe"] + CommandLine.arguments.prefix(1) + bundleArguments
        var looked: [String] = []
        for program in programs {
            var directory = URL(fileURLWithPath: program).resolvingSymlinksInPath()
            while directory.path != "/" {
                directory.deleteLastPathComponent()
                let candidate = directory.appendingPathComponent("sluice").path
                var isDirectory: ObjCBool = false
                let isThere = FileManager.default.fileExists(atPath: candidate, isDirectory: &isDirectory)
                if isThere, !isDirectory.boolValue, access(candidate, X_OK) == 0 {
                    return .success(candidate)
                }
                looked.append(directory.path)
            }
        }
        return .failure(NotFound(looked: looked))
    }()

    /// A helper program may run the bundle, and name it behind an option.
    private static var bundleArguments: [String] {
        CommandLine.arguments.dropFirst().filter { $0.contains(".xctest") }
    }

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
