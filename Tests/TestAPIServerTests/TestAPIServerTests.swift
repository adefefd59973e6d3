import Foundation
import IPAddressing
import KubernetesAPI
import TemporaryFiles
import TestNetwork
import Testing

@testable import TestAPIServer

@Suite("The test API server")
struct TestAPIServerTests {
    private func bytes(_ hex: String) -> [UInt8] {
        hex.split(separator: " ").flatMap { word -> [UInt8] in
            word.hasPrefix("'") ? Array(word.dropFirst().utf8) : [UInt8(word, radix: 16) ?? 0]
        }
    }

    @Test("protobuf and JSON of one message")
    func encodings() {
        var inner = APIMessage()
        inner.addPlain(1, "name", .string(""))
        inner.add(2, "count", .integer(300))
        var message = APIMessage()
        message.add(3, "inner", .message(inner))
        message.add(4, "flag", .boolean(false))
        message.add(16, "tags", .strings(["a", ""]))
        message.add(5, "labels", .map(["k": "v"]))
        message.add(6, "at", .time(1_700_000_000))
        message.add(7, nil, .integer(-1))
        message.add(8, "empty", .list([]))
        #expect(
            message.protobuf
                == bytes(
                    """
                    1a 05 0a 00 10 ac 02 \
                    20 00 \
                    82 01 01 'a 82 01 00 \
                    2a 06 0a 01 'k 12 01 'v \
                    32 08 08 80 e2 cf aa 06 10 00 \
                    38 ff ff ff ff ff ff ff ff ff 01
                    """))
        #expect(
            String(decoding: message.json, as: UTF8.self)
                == #"{"at":"2023-11-14T22:13:20Z","flag":false,"inner":{"count":300},"labels":{"k":"v"},"tags":["a",""]}"#
        )
    }

    @Test("a frame of a watch is its length and a WatchEvent around the object's envelope")
    func frame() {
        let document = Envelope.document([0x0a, 0x00], apiVersion: "v1", kind: "Node", .protobuf)
        #expect(
            document == bytes("6b 38 73 00 0a 0a 0a 02 'v1 12 04 'Node 12 02 0a 00 1a 00 22 00"))
        let frame = Envelope.frame("ADDED", document, .protobuf)
        #expect(frame.prefix(4) == [0, 0, 0, UInt8(frame.count - 4)])
        #expect(
            frame[4...].starts(
                with: bytes("0a 05 'ADDED 12") + [UInt8(document.count + 2), 0x0a, UInt8(document.count)]))
    }

    @Test(
        "label selectors",
        arguments: [
            ("", true), ("a", true), ("!a", false), ("c", false), ("!c", true), ("a=1", true),
            ("a==1,b=2", true),
            ("a=2", false), ("a!=2", true), ("c!=2", true), ("a in (1, 3),!c", true), ("a in (2)", false),
            ("a notin (1)", false), ("c notin (1)", true),
        ])
    func selectors(_ text: String, isMatch: Bool) throws {
        let selector = try #require(LabelSelector(text))
        #expect(selector.matches(["a": "1", "b": "2"]) == isMatch)
    }

    @Test("what is no selector is refused", arguments: ["=", "!", "a,,b", "a in 1"])
    func noSelectors(_ text: String) { #expect(LabelSelector(text) == nil) }

    @Test("the store as it was at any version that it still knows")
    func snapshots() throws {
        let store = ObjectStore(firstVersion: 10, historyLimit: 4)
        var known: [UInt64: [String]] = [:]
        var names: Set<String> = []
        for step in 0..<20 {
            let name = "node-\(step % 3)"
            let isThere = names.contains(name)
            let version = isThere ? store.delete(.node(name)) : store.put(APIObject(Node(name: name)))
            if isThere { names.remove(name) } else { names.insert(name) }
            // Another resource's changes in between count as well.
            store.put(APIObject(Service(name: .init(namespace: "default", name: "web"))))
            known[try #require(version)] = names.sorted()
        }
        var found = 0
        for (version, names) in known {
            guard let (of, objects) = store.snapshot(.nodes, at: version) else { continue }
            #expect(of == version && objects.map(\.object.key.name) == names)
            found += 1
        }
        #expect(found >= 2 && found <= 3)
        #expect(store.snapshot(.nodes, at: store.version + 1) == nil)
        store.compact()
        #expect(store.changes(.nodes, after: store.version - 1, limit: 1) == nil)
        #expect(store.changes(.nodes, after: store.version, limit: 1) != nil)
    }

    @Test(
        "it serves in another network namespace, and nowhere else",
        .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)))
    func inNamespace() async throws {
        let namespace = try Namespace("api")
        defer { namespace.remove() }
        let address = IPAddress(ipv4: 0x7f00_0001)
        let authority = try CertificateAuthority()
        let server = try TestAPIServer(credential: authority.server())
        server.store.put(APIObject(Node(name: "node-1")))
        try await server.start(listener: namespace.run { try TestAPIServer.listen(on: address) })
        let directory = try TemporaryDirectory()
        let path = try directory.write(authority.certificate, to: "ca.crt")
        let url = "\(server.url)/api/v1/nodes/node-1"
        #expect(url.hasPrefix("https://127.0.0.1:"))
        let answer = try namespace.command("curl", "-sS", "--max-time", "20", "--cacert", path, url)
        #expect(answer.contains(#""name":"node-1""#))
        #expect(try Namespace("other").isRefused(url, path))
        await server.stop()
    }

    @Test(
        "a server's port is kept for it while it is away",
        .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)))
    func reservedPort() throws {
        let namespace = try Namespace("port")
        defer { namespace.remove() }
        try namespace.setSysctls(["ipv4/ip_local_port_range": "40000 40003"])
        let reservation = try namespace.run { try PortReservation() }
        #expect((40_000...40_003).contains(reservation.port))
        let address = IPAddress(ipv4: 0x7f00_0001)
        let echo = try EchoServer("echo", in: namespace, tcp: [39_999])
        defer { echo.stop() }
        // Connections take all ports there are, but not this one.
        func open() throws -> OpenConnection {
            try namespace.open(to: AddressPort(address, 39_999), timeout: .seconds(10))
        }
        let connections = try (0..<3).map { _ in try open() }
        #expect(throws: (any Error).self) { try open() }
        #expect(connections.allSatisfy { $0.seenSource.port != reservation.port })
        let port = UInt16(reservation.port)
        close(try namespace.run { try TestAPIServer.listen(on: address, port: port) })
    }
}

extension Namespace {
    fileprivate func isRefused(_ url: String, _ authority: String) throws -> Bool {
        defer { remove() }
        do {
            try command("curl", "-sS", "--max-time", "20", "--cacert", authority, url)
            return false
        } catch let error as CommandError {
            // curl's CURLE_COULDNT_CONNECT.
            return error.status == 7
        }
    }
}
