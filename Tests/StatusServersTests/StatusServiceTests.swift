import Glibc
import HTTPServing
import IPAddressing
import Logging
import RawHTTP
import Synchronization
import Testing

@testable import StatusServers

/// Hands each line on, in order.
private struct LineLog: LogHandler {
    let lines: AsyncStream<String>.Continuation
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.yield("\(event.level): \(event.message)") }
}

/// The servers over loopback (contract, 24).
@Suite("The status service", .timeLimit(.minutes(1)))
struct StatusServiceTests {
    private let health = ProxyHealthRecord(patience: .seconds(60), now: { moment(0) })
    private let content = StatusContent(metrics: { "demo 1\n" })
    private let lines: AsyncStream<String>
    private let log: AsyncStream<String>.Continuation

    init() { (lines, log) = AsyncStream.makeStream() }

    private func service(_ settings: StatusService.Settings, _ content: StatusContent? = nil) -> StatusService
    {
        StatusService(
            settings, health: health, content: content ?? self.content,
            logger: Logger(label: "test") { [log] _ in LineLog(lines: log) })
    }

    /// Waits for a line that begins so.
    private func line(_ beginning: String) async -> String? {
        for await line in lines where line.hasPrefix(beginning) { return line }
        return nil
    }

    /// Runs `body` beside a service whose two servers listen, and ends that.
    private func withService(
        _ settings: StatusService.Settings, _ content: StatusContent? = nil, _ body: () async throws -> Void
    ) async throws {
        let service = service(settings, content)
        let running = Task { try await service.run() }
        for _ in 0..<(settings.healthz == nil ? 1 : 2) { _ = await line("info: ") }
        do {
            try await body()
        } catch {
            running.cancel()
            try await running.value
            throw error
        }
        running.cancel()
        try await running.value
    }

    private func loopback(_ port: UInt16) -> BindAddress { BindAddress(RawClient.ipv4, port: port) }

    @Test("health and metrics are told at their ports, and each probe is counted")
    func both() async throws {
        let (healthz, metrics) = (try HeldPort.free(), try HeldPort.free())
        let counted = Mutex<[String]>([])
        let content = StatusContent(
            metrics: { "demo 1\n" },
            probed: { probe, status in counted.withLock { $0.append("\(probe.rawValue) \(status)") } })
        try await withService(.init(healthz: loopback(healthz), metrics: loopback(metrics)), content) {
            let client = try RawClient(healthz)
            #expect(try client.get("/healthz?verbose").status == "HTTP/1.1 200 OK")
            health.setNodeEligible(false)
            let gone = try client.get("/healthz")
            #expect(gone.status == "HTTP/1.1 503 Service Unavailable")
            #expect(gone.fields["content-type"] == "application/json")
            #expect(try client.get("/livez").status == "HTTP/1.1 200 OK")
            #expect(try client.get("/metrics").status == "HTTP/1.1 404 Not Found")
            let scrape = try RawClient(metrics).get("/metrics")
            #expect(scrape.body == "demo 1\n")
            #expect(scrape.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            let post = try RawClient(metrics)
            try post.send("POST /metrics HTTP/1.1\r\nHost: n\r\nContent-Length: 0\r\n\r\n")
            #expect(try post.response().status == "HTTP/1.1 405 Method Not Allowed")
        }
        #expect(counted.withLock { $0 } == ["healthz 200", "healthz 503", "livez 200"])
        #expect(throws: CallError.self) { try RawClient(healthz).get() }
    }

    @Test("a server without an address is off, and the service runs on")
    func off() async throws {
        let metrics = try HeldPort.free()
        try await withService(.init(healthz: nil, metrics: loopback(metrics))) {
            let mode = try RawClient(metrics).get("/proxyMode")
            #expect(mode.body == "nftables")
        }
        let service = service(.init(healthz: nil, metrics: nil))
        let running = Task { try await service.run() }
        running.cancel()
        try await running.value
    }

    @Test("a port that somebody has is named, and bound once it is free; the other server doesn't wait")
    func portInUse() async throws {
        let (healthz, metrics) = (try HeldPort.free(), try HeldPort.free())
        var held: HeldPort? = try HeldPort(healthz)
        let service = service(
            .init(
                healthz: loopback(healthz), metrics: loopback(metrics), firstRetry: .milliseconds(10)))
        let running = Task { try await service.run() }
        let error = try #require(await line("error: "))
        #expect(
            error
                == "error: healthz server: can't listen on 127.0.0.1:\(healthz): Address already in use; trying again"
        )
        #expect(held != nil)
        held = nil
        _ = await line("info: healthz server listening")
        #expect(try RawClient(healthz).get("/livez").status == "HTTP/1.1 200 OK")
        #expect(try RawClient(metrics).get("/healthz").body == "ok")
        running.cancel()
        try await running.value
    }

    @Test("under bindAddressHardFail it is the end of both servers, and the caller hears of it")
    func hardFail() async throws {
        let (healthz, metrics) = (try HeldPort.free(), try HeldPort.free())
        let held = try HeldPort(metrics)
        let service = service(
            .init(healthz: loopback(healthz), metrics: loopback(metrics), bindAddressHardFail: true))
        let error = await #expect(throws: StatusService.BindError.self) { try await service.run() }
        #expect(
            error?.description
                == "metrics server: can't listen on 127.0.0.1:\(metrics): Address already in use")
        #expect(throws: CallError.self) { try RawClient(healthz).get() }
        withExtendedLifetime(held) {}
    }

    private static let hasIPv6 = access("/proc/sys/net/ipv6", F_OK) == 0

    @Test("all addresses are those of both families", .enabled(if: hasIPv6))
    func bothFamilies() async throws {
        let port = try HeldPort.free()
        try await withService(.init(healthz: nil, metrics: BindAddress(nil, port: port))) {
            for address in [RawClient.ipv4, RawClient.ipv6] {
                let health = try RawClient(port, at: address).get("/healthz")
                #expect(health.body == "ok")
            }
        }
    }

    @Test("connections and time are limited")
    func limits() async throws {
        let port = try HeldPort.free()
        let limits = StatusService.Settings(
            healthz: nil, metrics: loopback(port),
            limits: .init(connections: 1, patience: .milliseconds(200)))
        try await withService(limits) {
            let oldest = try RawClient(port)
            let slow = try RawClient(port)
            try slow.send("GET /met")
            #expect(try oldest.rest() == "")
            #expect(try slow.rest() == "")
        }
    }
}
