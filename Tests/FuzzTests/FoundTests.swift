import Documents
import HostNetwork
import IPAddressing
import Manifests
import NFTables
import NFTablesKernel
import Netlink
import ProxyConfiguration
import Testing

@testable import KubernetesClient

/// What damaged inputs have found, one by one.
@Suite("What was found")
struct FoundTests {
    private static func forEach(_ bytes: [UInt8], _ body: (NetlinkMessage) -> Void) {
        GuardedMemory.with(bytes) { bytes in
            try? NetlinkMessage.forEach(in: bytes) { message in
                body(message)
                return true
            }
        }
    }

    /// nlmsghdr of a message with this payload.
    private static func message(_ length: UInt8, type: [UInt8], _ payload: [UInt8]) -> [UInt8] {
        [length, 0, 0, 0] + type + [0, 0, 0, 0, 0, 0, 0, 0, 0, 0] + payload
    }

    @Test("an error code that has no positive counterpart is a number")
    func leastErrorCode() {
        let error = Self.message(20, type: [2, 0], [0, 0, 0, 0x80])
        var codes: [Int32] = []
        Self.forEach(error) { codes.append($0.errorCode) }
        GuardedMemory.with(error) { bytes in
            try? RouteMessage.forEach(in: bytes) { message in
                codes.append(message.errorCode)
                return true
            }
        }
        #expect(codes == [.min, .min])
    }

    @Test("a length from 2^31 on doesn't fit")
    func largeLength() {
        var message = Self.message(0, type: [20, 0], [])
        message[3] = 0x80
        var count = 0
        GuardedMemory.with(message) { bytes in
            try? RouteMessage.forEach(in: bytes) { _ in
                count += 1
                return true
            }
        }
        #expect(count == 0)
    }

    /// NFT_MSG_NEWTABLE, NEWSET; then nfgenmsg.
    private static let (newTable, newSet): ([UInt8], [UInt8]) = ([0, 10], [9, 10])
    private static let header: [UInt8] = [2, 0, 0, 0]

    @Test(
        "a table whose attributes are of other lengths is passed over, and doesn't end the process",
        arguments: [
            [5, 0, 2, 0, 1, 0, 0, 0],  // NFTA_TABLE_FLAGS of one byte
            [8, 0, 4, 0, 1, 0, 0, 0],  // NFTA_TABLE_HANDLE of four
            [4, 0, 1, 0, 4, 0, 7, 0],  // NFTA_TABLE_NAME, NFTA_TABLE_OWNER of none
        ] as [[UInt8]])
    func table(_ attributes: [UInt8]) {
        var count = 0
        Self.forEach(Self.message(28, type: Self.newTable, Self.header + attributes)) { message in
            count += 1
            #expect(Connection.parseTable(message) == nil)
        }
        #expect(count == 1)
    }

    @Test("a set with keys of gigabytes is none")
    func keyLength() {
        let attributes: [UInt8] =
            [6, 0, 1, 0, 0x74, 0, 0, 0]  // NFTA_SET_TABLE: t
            + [6, 0, 2, 0, 0x73, 0, 0, 0]  // NFTA_SET_NAME: s
            + [8, 0, 5, 0, 0xff, 0xff, 0xff, 0xff]  // NFTA_SET_KEY_LEN
        var count = 0
        Self.forEach(Self.message(44, type: Self.newSet, Self.header + attributes)) { message in
            count += 1
            #expect(NamedSet(message, in: TableID(.ip, "t")) == nil)
        }
        #expect(count == 1)
    }

    @Test("a key that is an alias to very much is refused before anybody compares it")
    func aliasAsKey() {
        let laughs = (1...12).reduce("- &a0 [x, x]\n") { text, level in
            text + "- &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", "))]\n"
        }
        #expect(
            throws: YAMLKeys.Refusal(
                line: 14, message: "keys that are lists or mappings, too large to compare")
        ) {
            try YAMLKeys.check(laughs + "- {*a12 : 1}\n")
        }
        // The same as a value costs nothing until somebody writes it out.
        #expect(throws: Never.self) { try YAMLKeys.check(laughs + "- {x: *a12}\n") }
        // An alias to a text is a key like others.
        #expect(throws: Never.self) { try YAMLKeys.check("a: &a x\nb: {*a : 1}\n") }
    }

    @Test("a field's name from the file is told as a plain text")
    func fieldNames() {
        for line in ["\"a\\nb\": 1", "featureGates: {\"a\\nb\": 1}", "logging: {vmodule: [{\"a\\nb\": 1}]}"] {
            let text = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\(line)\n"
            do throws(ConfigurationError) {
                _ = try KubeProxyConfiguration.parse(text, file: "f")
                Issue.record("\(line) was taken")
            } catch {
                #expect(error.problems.count == 1)
                #expect(error.problems.allSatisfy { $0.description.contains("\"a\\nb\"") }, "\(error)")
                #expect(error.problems.allSatisfy { !$0.description.contains("\n") })
            }
        }
    }

    @Test("what a plugin is told of its cluster, and its arguments, show in no description")
    func pluginSecrets() throws {
        let text = """
            current-context: c
            contexts: [{name: c, context: {cluster: k, user: u}}]
            clusters: [{name: k, cluster: {server: https://k, proxy-url: "http://u:hunter2@proxy:1"}}]
            users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: x,
              args: [--token=hunter2], provideClusterInfo: true, interactiveMode: Never}}}]
            """
        let access = try Kubeconfig.access(in: text, file: "f")
        #expect(try #require(access.identity.exec).info().contains("hunter2"))
        #expect(!String(reflecting: access).contains("hunter2"))
    }
}
