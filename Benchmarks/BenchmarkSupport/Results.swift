public import ArgumentParser
import Foundation

/// What a benchmark prints on standard output.
public enum ReportFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case table
    case json
}

/// Where a report goes.
public struct ResultOptions: ParsableArguments {
    @Option(help: "What to print on standard output.")
    public var output: ReportFormat = .table

    @Option(
        help: ArgumentHelp(
            "Write the report (JSON) and its charts (SVG) into this folder too.", valueName: "folder"))
    public var results: String?

    public init() {}

    /// - Parameters:
    ///   - name: of the report's file.
    ///   - charts: SVG by file name.
    public func write(
        _ report: some MachineReadable, name: String, table: String,
        charts: [(file: String, svg: String)] = []
    ) throws {
        let json = try report.json
        print(output == .table ? table : json + "\n", terminator: "")
        guard let results else { return }
        let folder = URL(filePath: results)
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try Data((json + "\n").utf8).write(to: folder.appending(path: name + ".json"))
            for (file, svg) in charts { try Data(svg.utf8).write(to: folder.appending(path: file)) }
        } catch {
            throw ValidationError("--results \(results): \(error.localizedDescription)")
        }
    }
}
