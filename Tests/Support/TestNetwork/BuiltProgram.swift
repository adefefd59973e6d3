import Foundation

/// Programs of this package, as the build that made the tests left them.
public enum BuiltProgram {
    public struct NotFound: Error, CustomStringConvertible {
        let name: String
        let looked: [String]
        public var description: String { "no executable `\(name)` in \(looked.joined(separator: ", "))" }
    }

    /// Where it is: beside the test bundle, or in a directory above it.
    public static func find(_ name: String) -> Result<String, NotFound> {
        let programs = ["/proc/self/exe"] + CommandLine.arguments.prefix(1) + bundleArguments
        var looked: [String] = []
        for program in programs {
            var directory = URL(fileURLWithPath: program).resolvingSymlinksInPath()
            while directory.path != "/" {
                directory.deleteLastPathComponent()
                let candidate = directory.appendingPathComponent(name).path
                var isDirectory: ObjCBool = false
                let isThere = FileManager.default.fileExists(atPath: candidate, isDirectory: &isDirectory)
                if isThere, !isDirectory.boolValue, access(candidate, X_OK) == 0 {
                    return .success(candidate)
                }
                looked.append(directory.path)
            }
        }
        return .failure(NotFound(name: name, looked: looked))
    }

    /// A helper program may run the bundle, and name it behind an option.
    private static var bundleArguments: [String] {
        CommandLine.arguments.dropFirst().filter { $0.contains(".xctest") }
    }
}
