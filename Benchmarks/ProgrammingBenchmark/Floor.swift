import Foundation
import NFTables
import NFTablesKernel
import TestNetwork

/// The same messages from a bare libnftnl program, which has nothing else to do: what a cold commit costs at least.
struct Floor: Codable {
    let messages: Int
    let bytes: Int
    /// Seconds until the messages are made, and then until the kernel has answered.
    let encode: Double
    let commit: Double
    let user: Double
    let system: Double

    enum CodingKeys: String, CodingKey {
        case messages, bytes
        case encode = "encode_s"
        case commit = "commit_s"
        case user = "user_s"
        case system = "system_s"
    }

    var total: Double { encode + commit }

    /// Runs it in a fresh namespace; nil where the program isn't beside this one.
    ///
    /// - Parameter messages: the file of the transaction's messages.
    static func measure(messages: String) throws -> Floor? {
        let program = try directoryOfThisProgram().appending(path: "FloorProgram").path
        guard FileManager.default.isExecutableFile(atPath: program) else { return nil }
        let namespace = try Namespace("floor")
        let output = try namespace.command(program, messages)
        return try JSONDecoder().decode(Floor.self, from: Data(output.utf8))
    }

    /// Writes the messages of a transaction to a file.
    static func write(_ operations: [NFTables.Operation], to path: String) throws {
        let buffer = MessageBuffer()
        let encoder = BatchEncoder(buffer: buffer, firstSequence: 1)
        for operation in operations { try encoder.append(operation) }
        encoder.finish()
        try Data(buffer.bytes).write(to: URL(filePath: path))
    }
}
