import Glibc
import HTTPServing
import HealthChecks
import KubernetesAPI
import RawHTTP
import Testing

/// Clients that are slow, wrong or too many.
@Suite("Unkind clients of health checks", .timeLimit(.minutes(1)))
struct UnkindClientTests {
    /// Runs `body` with the port of a server that is shut down afterwards.
    private func withServer(
        _ limits: HealthCheckServers.Limits = .init(), _ body: (UInt16) async throws -> Void
    ) async throws {
        let servers = HealthCheckServers(limits: limits)
        let port = try HeldPort.free()
        let name = ObjectName(namespace: "default", name: "web")
        #expect(await servers.update([name: .init(port: port, localEndpoints: 1)]) == [])
        do {
            try await body(port)
            // Whatever was done, a kind client is served.
            #expect(try RawClient(port).get().status == "HTTP/1.1 200 OK")
        } catch {
            await servers.shutDown()
            throw error
        }
        await servers.shutDown()
    }

    @Test(
        "what isn't HTTP gets a 400 and its connection is closed",
        arguments: [
            "\u{16}\u{3}\u{1}\u{2}garbage\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        ])
    func garbage(_ text: String) async throws {
        try await withServer { port in
            let client = try RawClient(port)
            try client.send(text)
            #expect(try client.rest().hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        }
    }

    @Test("a head without end is cut off")
    func longHead() async throws {
        try await withServer { port in
            let client = try RawClient(port)
            let line = "X-Field: \(String(repeating: "a", count: 1_000))\r\n"
            #expect(throws: CallError.self) {
                try client.send("GET / HTTP/1.1\r\n")
                for _ in 0..<100_000 { try client.send(line) }
            }
        }
    }

    @Test(
        "a client that says nothing, or half of a request, is let go when its time is up",
        arguments: [
            "", "GET / HT", "GET / HTTP/1.1\r\nHost: n\r\n", "GET / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
        ])
    func silence(_ text: String) async throws {
        try await withServer(.init(patience: .milliseconds(200))) { port in
            let client = try RawClient(port)
            try client.send(text)
            #expect(try client.rest() == "")
        }
    }

    @Test("a client that sends a byte now and then has no more time than others")
    func trickle() async throws {
        try await withServer(.init(patience: .milliseconds(200))) { port in
            let client = try RawClient(port)
            try client.send("GET / HTTP/1.1\r\nX-Slow: ")
            let start = ContinuousClock.now
            while !client.isReadable(withinMilliseconds: 20) {
                try client.send("a")
                try #require(ContinuousClock.now - start < .seconds(10))
            }
            #expect(try client.rest() == "")
        }
    }

    @Test("after each answer the time starts again")
    func patience() async throws {
        try await withServer(.init(patience: .milliseconds(400))) { port in
            let client = try RawClient(port)
            let start = ContinuousClock.now
            // Longer than the patience in all; each waits for less.
            while ContinuousClock.now - start < .milliseconds(800) {
                #expect(try client.get().status == "HTTP/1.1 200 OK")
                #expect(!client.isReadable(withinMilliseconds: 50))
            }
            #expect(try client.rest() == "")
        }
    }

    @Test("a client that asks and asks and doesn't read is let go")
    func neverReading() async throws {
        try await withServer(.init(patience: .milliseconds(300))) { port in
            let client = try RawClient(port, receiveBuffer: 1)
            let requests = String(repeating: "GET / HTTP/1.1\r\nHost: n\r\n\r\n", count: 100)
            let start = ContinuousClock.now
            var end: Int32?
            while end == nil {
                do {
                    try client.send(requests, flags: Int32(MSG_DONTWAIT))
                } catch let error as CallError where error.number == EAGAIN {
                    _ = client.isReadable(withinMilliseconds: 0)
                    await Task.yield()
                } catch let error as CallError {
                    end = error.number
                }
                try #require(ContinuousClock.now - start < .seconds(20))
            }
            #expect(end == EPIPE || end == ECONNRESET)
        }
    }

    @Test("requests that are sent together are answered in turn")
    func pipelining() async throws {
        try await withServer { port in
            let client = try RawClient(port)
            try client.send(String(repeating: "GET / HTTP/1.1\r\nHost: n\r\n\r\n", count: 20))
            for _ in 0..<20 { #expect(try client.response().status == "HTTP/1.1 200 OK") }
        }
    }

    @Test(
        "a connection ends with its answer where the client wants it so",
        arguments: [
            "GET / HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
        ])
    func close(_ request: String) async throws {
        try await withServer { port in
            let client = try RawClient(port)
            try client.send(request)
            let response = try client.response()
            #expect(response.status.hasSuffix("200 OK"))
            #expect(response.fields["connection"] == "close")
            #expect(try client.rest() == "")
        }
    }

    @Test("an HTTP/1.0 client that wants to keep its connection may")
    func keepAlive() async throws {
        try await withServer { port in
            let client = try RawClient(port)
            for _ in 0..<2 {
                try client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                #expect(try client.response().fields["connection"] == "keep-alive")
            }
        }
    }

    @Test("a connection beyond the limit takes the place of the oldest, and is answered")
    func limit() async throws {
        try await withServer(.init(connections: 2)) { port in
            let first = try RawClient(port)
            #expect(try first.get().status == "HTTP/1.1 200 OK")
            let second = try RawClient(port)
            #expect(try second.get().status == "HTTP/1.1 200 OK")
            let third = try RawClient(port)
            #expect(try third.get().status == "HTTP/1.1 200 OK")
            #expect(try first.rest() == "")
            #expect(try second.get().status == "HTTP/1.1 200 OK")
        }
    }

    @Test("however many hold connections and say nothing, who asks is answered")
    func silentClients() async throws {
        try await withServer(.init(connections: 16)) { port in
            var silent: [RawClient] = []
            for _ in 0..<10 {
                for _ in 0..<10 { silent.append(try RawClient(port)) }
                #expect(try RawClient(port).get().status == "HTTP/1.1 200 OK")
            }
            #expect(silent.count == 100)
        }
    }

    @Test("a client that goes away at once does no harm")
    func reset() async throws {
        try await withServer { port in
            for _ in 0..<100 {
                let client = try RawClient(port)
                try client.send("GET / HTTP/1.1\r\nHost: n\r\n\r\n")
            }
        }
    }
}
