import ClusterGenerator
import Foundation
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
    static func measure(_ cluster: GeneratedCluster) throws -> Floor? {
        let program = try directoryOfThisProgram().appending(path: "FloorProgram").path
        guard FileManager.default.isExecutableFile(atPath: program) else { return nil }
        let namespace = try Namespace("floor")
        let output = try namespace.command(
            program, "\(cluster.serviceCount)", "\(cluster.endpointsPerService)")
        return try JSONDecoder().decode(Floor.self, from: Data(output.utf8))
    }
}
