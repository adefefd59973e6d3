import HTTPServing
import IPAddressing
import Testing

@testable import StatusServers

/// The answers of kube-proxy v1.36, byte for byte.
@Suite("Statement 24: what the servers answer")
struct AnswerTests {
    private func answer(
        _ probe: HealthProbe, at seconds: Double, _ change: (inout ProxyHealth) -> Void = { _ in }
    )
        -> HTTPAnswer
    {
        var health = ProxyHealth(patience: .seconds(60))
        change(&health)
        return HealthAnswers.answer(probe, health.report(at: moment(seconds)))
    }

    private static let fields: [HTTPAnswer.Field] = [
        .init("Content-Type", "application/json"), .init("X-Content-Type-Options", "nosniff"),
    ]

    @Test("healthz of a proxy in order; its last update is now")
    func healthy() {
        let answer = answer(.healthz, at: 7.5) { $0.updated(at: moment(3)) }
        let body = """
            {"lastUpdated":"2023-11-14T22:13:27.5Z","currentTime":"2023-11-14T22:13:27.5Z","nodeEligible":true,\
            "healthy":true,"status":{"IPv4":{"lastUpdated":"2023-11-14T22:13:23Z","healthy":true},\
            "IPv6":{"lastUpdated":"2023-11-14T22:13:23Z","healthy":true}}}
            """
        #expect(answer == HTTPAnswer(status: 200, fields: Self.fields, body: body))
    }

    @Test("before anything was in force there is no status")
    func starting() {
        #expect(
            answer(.healthz, at: 0)
                == HTTPAnswer(
                    status: 200, fields: Self.fields,
                    body: """
                        {"lastUpdated":"2023-11-14T22:13:20Z","currentTime":"2023-11-14T22:13:20Z",\
                        "nodeEligible":true,"healthy":true}
                        """))
    }

    @Test(
        "an update that is late is 503 at both, with the time of the last one; livez says nothing of the node"
    )
    func late() {
        for probe in [HealthProbe.healthz, .livez] {
            let answer = answer(probe, at: 100) {
                $0.updated(at: moment(3))
                $0.queued([.ipv6], at: moment(10))
            }
            #expect(answer.status == 503)
            let eligible = probe == .healthz ? #""nodeEligible":true,"# : ""
            #expect(
                answer.body == """
                    {"lastUpdated":"2023-11-14T22:13:23Z","currentTime":"2023-11-14T22:15:00Z",\(eligible)\
                    "healthy":false,"status":{"IPv4":{"lastUpdated":"2023-11-14T22:13:23Z","healthy":true},\
                    "IPv6":{"lastUpdated":"2023-11-14T22:13:23Z","healthy":false}}}
                    """)
        }
    }

    @Test("a node that is about to go is 503 at healthz, where its proxy is called healthy, and 200 at livez")
    func ineligible() {
        let change: (inout ProxyHealth) -> Void = {
            $0.updated([.ipv4], at: moment(3))
            $0.isNodeEligible = false
        }
        let healthz = answer(.healthz, at: 5, change)
        #expect(healthz.status == 503)
        #expect(
            healthz.body == """
                {"lastUpdated":"2023-11-14T22:13:23Z","currentTime":"2023-11-14T22:13:25Z",\
                "nodeEligible":false,"healthy":true,\
                "status":{"IPv4":{"lastUpdated":"2023-11-14T22:13:23Z","healthy":true}}}
                """)
        let livez = answer(.livez, at: 5, change)
        #expect(livez.status == 200)
        #expect(livez.body.hasPrefix(#"{"lastUpdated":"2023-11-14T22:13:25Z","currentTime":"#))
        #expect(!livez.body.contains("nodeEligible"))
    }

    @Test("readyz is 503 until rules are in force")
    func ready() {
        #expect(answer(.readyz, at: 0).status == 503)
        #expect(answer(.readyz, at: 0) { $0.updated(at: moment(0)) }.status == 200)
        #expect(
            answer(.readyz, at: 0) {
                $0.updated(at: moment(0))
                $0.isNodeEligible = false
            }.status == 200)
    }

    @Test("a family that was never in force has Go's zero time")
    func never() {
        let body = answer(.livez, at: 60) { $0.began(at: moment(0)) }.body
        #expect(body.hasPrefix(#"{"lastUpdated":"0001-01-01T00:00:00Z","#))
        #expect(body.contains(#""IPv4":{"lastUpdated":"0001-01-01T00:00:00Z","healthy":false}"#))
    }

    private static let content = StatusContent(
        metrics: { "m 1\n" }, configz: { #"{"kubeproxy.config.k8s.io":{}}"# })

    @Test("the metrics server's paths")
    func metrics() {
        let text = "text/plain; charset=utf-8"
        let expected = [
            ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", "m 1\n"),
            ("/healthz", 200, text, "ok"), ("/proxyMode", 200, text, "nftables"),
            ("/configz", 200, "application/json", #"{"kubeproxy.config.k8s.io":{}}"#),
            ("/", 404, text, "404 page not found\n"), ("/metrics/", 404, text, "404 page not found\n"),
        ]
        for (path, status, type, body) in expected {
            #expect(
                MetricsAnswers.answer(path, Self.content)
                    == HTTPAnswer(
                        status: status,
                        fields: [.init("Content-Type", type), .init("X-Content-Type-Options", "nosniff")],
                        body: body))
        }
    }

    @Test("profiling is refused in words", arguments: ["/debug/pprof", "/debug/pprof/", "/debug/pprof/heap"])
    func profiling(path: String) {
        let answer = MetricsAnswers.answer(path, Self.content)
        #expect(answer.status == 404)
        #expect(answer.body.contains("profiling is not offered"))
    }
}

@Suite("Addresses to listen on")
struct BindAddressTests {
    @Test("no address, 0.0.0.0 and :: are all addresses", arguments: [nil, "0.0.0.0", "::"])
    func all(text: String?) throws {
        let bind = BindAddress(text.flatMap { IPAddress($0) }, port: 10256)
        #expect(bind == BindAddress(nil, port: 10256))
        #expect(bind.addresses == HTTPPort.allAddresses)
        #expect("\(bind)" == "0.0.0.0:10256")
    }

    @Test("others are one", arguments: ["127.0.0.1:10249", "[::1]:10249", "[2001:db8::1]:1"])
    func one(text: String) throws {
        let bind = BindAddress(try #require(AddressPort(text)))
        #expect("\(bind)" == text)
        #expect(bind.addresses.count == 1)
    }
}
