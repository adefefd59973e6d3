import Glibc
import IPAddressing
import KubernetesAPI
import RawHTTP
import Synchronization
import Testing

@testable import HealthChecks

/// False until it is set.
private final class Flag: Sendable {
    private let value = Atomic(false)
    func isSet() -> Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}

/// Health check servers over loopback (contract, 23).
@Suite("Health check servers", .timeLimit(.minutes(1)))
struct HealthCheckServersTests {
    typealias Check = HealthCheckServers.Check

    private let web = ObjectName(namespace: "default", name: "web")
    private let other = ObjectName(namespace: "default", name: "other")

    /// Runs `body` with servers that are shut down afterwards.
    private func withServers(
        isProxyHealthy: @escaping @Sendable () -> Bool = { true },
        _ body: (HealthCheckServers) async throws -> Void
    ) async throws {
        let servers = HealthCheckServers(isProxyHealthy: isProxyHealthy)
        do {
            try await body(servers)
        } catch {
            await servers.shutDown()
            throw error
        }
        await servers.shutDown()
    }

    // Tests beside these start processes, and between fork and exec each of those holds a copy of every socket:
    // a port is free a moment after it was closed. Hence the two that try again.

    /// True once nobody listens there.
    private func isRefused(_ port: UInt16, at address: IPAddress = RawClient.ipv4) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(5)
        while ContinuousClock.now < deadline {
            do {
                _ = try RawClient(port, at: address)
            } catch {
                return (error as? CallError)?.number == ECONNREFUSED
            }
            await Task.yield()
        }
        return false
    }

    /// Updates until all ports that were closed before can be bound; what is left as a problem then.
    private func rebind(
        _ servers: HealthCheckServers, _ checks: [ObjectName: Check], on addresses: [IPAddress]? = nil
    ) async -> [ObjectProblem] {
        let deadline = ContinuousClock.now + .seconds(5)
        var problems = await servers.update(checks, on: addresses)
        while !problems.isEmpty, ContinuousClock.now < deadline {
            problems = await servers.update(checks, on: addresses)
        }
        return problems
    }

    @Test("a node with local endpoints says so, with exactly these fields and this body")
    func serving() async throws {
        try await withServers { servers in
            let port = try HeldPort.free()
            #expect(await servers.update([web: Check(port: port, localEndpoints: 3)]) == [])
            let response = try RawClient(port).get("/any/path?x")
            #expect(response.status == "HTTP/1.1 200 OK")
            let body =
                #"{"service":{"namespace":"default","name":"web"},"localEndpoints":3,"serviceProxyHealthy":true}"#
            #expect(response.body == body)
            #expect(
                response.fields == [
                    "content-type": "application/json", "x-content-type-options": "nosniff",
                    "x-load-balancing-endpoint-weight": "3", "content-length": "\(body.utf8.count)",
                ])
        }
    }

    @Test("without local endpoints, or with a proxy that isn't healthy, the answer is 503")
    func notServing() async throws {
        let isHealthy = Flag()
        try await withServers(isProxyHealthy: isHealthy.isSet) { servers in
            let port = try HeldPort.free()
            #expect(await servers.update([web: Check(port: port, localEndpoints: 1)]) == [])
            let client = try RawClient(port)
            var response = try client.get()
            #expect(response.status == "HTTP/1.1 503 Service Unavailable")
            #expect(response.body.hasSuffix(#""localEndpoints":1,"serviceProxyHealthy":false}"#))
            #expect(response.fields["x-load-balancing-endpoint-weight"] == "1")
            isHealthy.set()
            response = try client.get()
            #expect(response.status == "HTTP/1.1 200 OK")
            #expect(await servers.update([web: Check(port: port, localEndpoints: 0)]) == [])
            response = try client.get()
            #expect(response.status == "HTTP/1.1 503 Service Unavailable")
            #expect(response.body.hasSuffix(#""localEndpoints":0,"serviceProxyHealthy":true}"#))
        }
    }

    @Test("HEAD gets the fields alone, other methods a 405")
    func methods() async throws {
        try await withServers { servers in
            let port = try HeldPort.free()
            #expect(await servers.update([web: Check(port: port, localEndpoints: 1)]) == [])
            let client = try RawClient(port)
            try client.send("HEAD / HTTP/1.1\r\nHost: n\r\n\r\n")
            let head = try client.response(hasBody: false)
            #expect(head.status == "HTTP/1.1 200 OK")
            #expect(head.fields["content-length"].flatMap { Int($0) } ?? 0 > 0)
            try client.send("POST / HTTP/1.1\r\nHost: n\r\nContent-Length: 5\r\n\r\nhello")
            let post = try client.response()
            #expect(post.status == "HTTP/1.1 405 Method Not Allowed")
            #expect(post.fields["allow"] == "GET, HEAD")
            // Nothing of the bodies is left in the stream.
            #expect(try client.get().status == "HTTP/1.1 200 OK")
        }
    }

    @Test("a connection lives through new numbers and a new name of its Service")
    func changes() async throws {
        try await withServers { servers in
            let port = try HeldPort.free()
            #expect(await servers.update([web: Check(port: port, localEndpoints: 1)]) == [])
            let client = try RawClient(port)
            #expect(try client.get().fields["x-load-balancing-endpoint-weight"] == "1")
            #expect(await servers.update([web: Check(port: port, localEndpoints: 7)]) == [])
            #expect(try client.get().fields["x-load-balancing-endpoint-weight"] == "7")
            #expect(await servers.update([other: Check(port: port, localEndpoints: 2)]) == [])
            #expect(try client.get().body.contains(#""name":"other"},"localEndpoints":2,"#))
        }
    }

    @Test("two Services exchange their ports in one update")
    func exchange() async throws {
        try await withServers { servers in
            let (a, b) = (try HeldPort.free(), try HeldPort.free())
            let before = [web: Check(port: a, localEndpoints: 1), other: Check(port: b, localEndpoints: 2)]
            #expect(await servers.update(before) == [])
            let after = [web: Check(port: b, localEndpoints: 1), other: Check(port: a, localEndpoints: 2)]
            #expect(await servers.update(after) == [])
            #expect(try RawClient(a).get().body.contains(#""name":"other""#))
            #expect(try RawClient(b).get().body.contains(#""name":"web""#))
        }
    }

    @Test("a port whose Service goes is closed, with its connections, and can be bound again")
    func removal() async throws {
        try await withServers { servers in
            let port = try HeldPort.free()
            let check = [web: Check(port: port, localEndpoints: 1)]
            #expect(await servers.update(check) == [])
            let client = try RawClient(port)
            _ = try client.get()
            #expect(await servers.update([:]) == [])
            #expect(await isRefused(port))
            #expect(try client.rest() == "")
            #expect(await rebind(servers, check) == [])
            #expect(try RawClient(port).get().status == "HTTP/1.1 200 OK")
        }
    }

    @Test("a port that somebody else has is told, and tried again with the next update")
    func portInUse() async throws {
        try await withServers { servers in
            let (port, free) = (try HeldPort.free(), try HeldPort.free())
            var held: HeldPort? = try HeldPort(port)
            let checks = [
                web: Check(port: port, localEndpoints: 1), other: Check(port: free, localEndpoints: 1),
            ]
            for _ in 0..<2 {
                let problems = await servers.update(checks)
                let problem = try #require(problems.first)
                #expect(problem.subject == .object(.service(web)))
                #expect(problem.field == "spec.healthCheckNodePort")
                #expect(problem.message.contains("0.0.0.0:\(port): Address already in use"))
                #expect(problems.count == 1)
                #expect(await servers.hasUnboundAddresses)
                // The others are served.
                #expect(try RawClient(free).get().status == "HTTP/1.1 200 OK")
            }
            #expect(held != nil)
            held = nil
            #expect(await rebind(servers, checks) == [])
            #expect(await !servers.hasUnboundAddresses)
            #expect(try RawClient(port).get().status == "HTTP/1.1 200 OK")
        }
    }

    @Test("of two Services with one port the first has it; it keeps it until it goes")
    func sharedPort() async throws {
        try await withServers { servers in
            let port = try HeldPort.free()
            let check = Check(port: port, localEndpoints: 1)
            var problems = await servers.update([web: check, other: check])
            #expect(problems.map(\.subject) == [.object(.service(web))])
            // Trying again would change nothing.
            #expect(await !servers.hasUnboundAddresses)
            #expect(problems.first?.message.contains("belongs to Service default/other") == true)
            let earlier = ObjectName(namespace: "a", name: "a")
            problems = await servers.update([earlier: check, other: check])
            #expect(problems.map(\.subject) == [.object(.service(earlier))])
            #expect(try RawClient(port).get().body.contains(#""name":"other""#))
            #expect(await servers.update([earlier: check]) == [])
            #expect(try RawClient(port).get().body.contains(#""namespace":"a""#))
        }
    }

    @Test("port 0 is a problem, not a port of the kernel's choice")
    func portZero() async throws {
        try await withServers { servers in
            let problems = await servers.update([web: Check(port: 0, localEndpoints: 1)])
            #expect(problems.map(\.subject) == [.object(.service(web))])
        }
    }

    private static let hasIPv6 = access("/proc/sys/net/ipv6", F_OK) == 0

    @Test("all addresses of both families are served", .enabled(if: hasIPv6))
    func bothFamilies() async throws {
        try await withServers { servers in
            let port = try HeldPort.free()
            #expect(await servers.update([web: Check(port: port, localEndpoints: 1)]) == [])
            #expect(try RawClient(port, at: RawClient.ipv6).get().status == "HTTP/1.1 200 OK")
            #expect(try RawClient(port).get().status == "HTTP/1.1 200 OK")
        }
    }

    @Test("where addresses are given, those alone are served, and a change is followed")
    func addresses() async throws {
        try await withServers { servers in
            let port = try HeldPort.free()
            let checks = [web: Check(port: port, localEndpoints: 1)]
            let second = IPAddress(ipv4: 0x7f00_0002)
            #expect(await servers.update(checks, on: [RawClient.ipv4]) == [])
            let client = try RawClient(port)
            #expect(try client.get().status == "HTTP/1.1 200 OK")
            #expect(await isRefused(port, at: second))
            #expect(await rebind(servers, checks, on: [second]) == [])
            #expect(try RawClient(port, at: second).get().status == "HTTP/1.1 200 OK")
            #expect(await isRefused(port))
            #expect(await rebind(servers, checks) == [])
            #expect(try RawClient(port).get().status == "HTTP/1.1 200 OK")
            // The first connection has lived through all of it.
            #expect(try client.get().status == "HTTP/1.1 200 OK")
        }
    }

    @Test("an address that the host doesn't have is told, the others are served")
    func foreignAddress() async throws {
        try await withServers { servers in
            let port = try HeldPort.free()
            // TEST-NET-1 (RFC 5737)
            let foreign = IPAddress(ipv4: 0xc000_0201)
            let problems = await servers.update(
                [web: Check(port: port, localEndpoints: 1)], on: [foreign, RawClient.ipv4])
            #expect(problems.count == 1)
            #expect(problems.first?.message.contains("192.0.2.1:\(port): Cannot assign") == true)
            #expect(try RawClient(port).get().status == "HTTP/1.1 200 OK")
        }
    }

    @Test("updates that come at once take effect one after the other")
    func concurrentUpdates() async throws {
        try await withServers { servers in
            let port = try HeldPort.free()
            await withTaskGroup(of: Void.self) { group in
                for count in 0..<50 {
                    let checks = count % 3 == 0 ? [:] : [web: Check(port: port, localEndpoints: count)]
                    group.addTask { _ = await servers.update(checks) }
                }
                await group.waitForAll()
            }
            // A listener that two updates had opened side by side would hold the port for ever.
            #expect(await rebind(servers, [web: Check(port: port, localEndpoints: 99)]) == [])
            #expect(try RawClient(port).get().fields["x-load-balancing-endpoint-weight"] == "99")
        }
    }

    @Test("shutting down closes everything; afterwards nothing is opened any more")
    func shutDown() async throws {
        let servers = HealthCheckServers()
        let port = try HeldPort.free()
        #expect(await servers.update([web: Check(port: port, localEndpoints: 1)]) == [])
        let client = try RawClient(port)
        _ = try client.get()
        await servers.shutDown()
        #expect(try client.rest() == "")
        #expect(await isRefused(port))
        #expect(await servers.update([web: Check(port: port, localEndpoints: 1)]) == [])
        #expect(await isRefused(port))
        await servers.shutDown()
    }

    @Test("names are escaped as JSON asks for")
    func escaping() {
        let name = ObjectName(namespace: "a\"\\", name: "\n\u{1f}ü")
        let answer = Answer(.init(service: name, localEndpoints: 0), isProxyHealthy: true)
        #expect(answer.body.hasPrefix(#"{"service":{"namespace":"a\"\\","name":"\u000a\u001fü"},"#))
    }
}
