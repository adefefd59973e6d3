import Conntrack
import IPAddressing
import Testing

@Suite("Statement 26: which entries a change of endpoints ends")
struct UDPCleanupTests {
    private let cleanup = UDPCleanup(live: [
        .ipv4: .init(
            services: [
                at("10.96.0.10:53"): [at("10.244.0.2:53"), at("10.244.0.3:53")],
                at("198.51.100.7:53"): [at("10.244.0.2:53"), at("10.244.0.3:53")],
                at("10.96.0.20:53"): [at("10.244.0.4:5353")],
                at("10.96.0.30:53"): [],
                at("192.168.100.1:123"): [at("192.168.100.1:123")],
            ],
            nodePorts: [30053: [at("10.244.0.2:53")], 30054: []],
            nodeAddresses: [at("192.168.100.1:0").address]),
        .ipv6: .init(
            services: [at("[fd00:96::a]:53"): [at("[fd00:244::2]:53")]],
            nodePorts: [30060: [at("[fd00:244::2]:53")]],
            nodeAddresses: [at("[fd00:100::1]:0").address]),
    ])

    struct Case: Sendable, CustomTestStringConvertible {
        let why: String
        let entry: ConntrackEntry
        let decision: UDPCleanup.Decision

        init(_ why: String, _ entry: ConntrackEntry, _ decision: UDPCleanup.Decision) {
            self.why = why
            self.entry = entry
            self.decision = decision
        }

        var testDescription: String { why }
    }

    static let cases: [Case] = [
        Case("led to a serving endpoint", entry(to: "10.96.0.10:53", ledTo: "10.244.0.3:53"), .live),
        Case(
            "led to a serving endpoint and masqueraded",
            entry(to: "10.96.0.10:53", ledTo: "10.244.0.3:53", masqueradedAs: "192.168.100.1:1030"), .live),
        Case(
            "led to an endpoint that is gone", entry(to: "10.96.0.10:53", ledTo: "10.244.0.9:53"), .stale),
        Case("led to the endpoint's old port", entry(to: "10.96.0.10:53", ledTo: "10.244.0.2:54"), .stale),
        Case(
            "led to the endpoint of another Service", entry(to: "10.96.0.10:53", ledTo: "10.244.0.4:5353"),
            .stale),
        Case(
            "to the external IP, led to a serving endpoint",
            entry(to: "198.51.100.7:53", ledTo: "10.244.0.2:53"), .live),
        Case(
            "to the external IP, endpoint gone", entry(to: "198.51.100.7:53", ledTo: "10.244.0.9:53"), .stale),
        Case("never translated", entry(to: "10.96.0.10:53"), .untranslated),
        Case("never translated, and the Service has no endpoints", entry(to: "10.96.0.30:53"), .untranslated),
        Case(
            "the Service has no endpoints any more", entry(to: "10.96.0.30:53", ledTo: "10.244.0.2:53"),
            .stale
        ),
        Case(
            "the endpoint has the very address of its Service", entry(to: "192.168.100.1:123"), .live),
        Case("a port that the Service doesn't have", entry(to: "10.96.0.10:54"), .unrelated),
        Case("an address that is no Service's", entry(to: "10.96.0.99:53"), .unrelated),
        Case(
            "translated by somebody else", entry(to: "203.0.113.1:53", ledTo: "10.244.0.9:53"), .unrelated),
        Case("from the endpoint itself", entry(from: "10.244.0.2:53", to: "10.244.0.3:53"), .unrelated),
        Case(
            "to the node port, live", entry(to: "192.168.100.1:30053", ledTo: "10.244.0.2:53"), .live),
        Case(
            "to the node port, endpoint gone", entry(to: "192.168.100.1:30053", ledTo: "10.244.0.3:53"),
            .stale),
        Case("to the node port, never translated", entry(to: "192.168.100.1:30053"), .untranslated),
        Case(
            "to a node port without endpoints", entry(to: "192.168.100.1:30054", ledTo: "10.244.0.2:53"),
            .stale),
        Case(
            "to the same port on another machine", entry(to: "192.168.100.2:30053", ledTo: "10.244.0.9:53"),
            .unrelated),
        Case(
            "IPv6, live", entry(from: "[fd00:244::1]:4000", to: "[fd00:96::a]:53", ledTo: "[fd00:244::2]:53"),
            .live),
        Case(
            "IPv6, endpoint gone",
            entry(from: "[fd00:244::1]:4000", to: "[fd00:96::a]:53", ledTo: "[fd00:244::3]:53"), .stale),
        Case(
            "to a node port of the other family",
            entry(from: "[fd00:244::1]:4000", to: "[fd00:100::1]:30053", ledTo: "[fd00:244::3]:53"),
            .unrelated),
        Case("TCP, endpoint gone", entry(.tcp, to: "10.96.0.10:53", ledTo: "10.244.0.9:53"), .unrelated),
        Case("SCTP, endpoint gone", entry(.sctp, to: "10.96.0.10:53", ledTo: "10.244.0.9:53"), .unrelated),
        Case(
            "untranslated in a zone of somebody's own", entry(to: "10.96.0.10:53", zone: .init(5)), .unrelated
        ),
        Case(
            "translated in a zone, endpoint gone",
            entry(to: "10.96.0.10:53", ledTo: "10.244.0.9:53", zone: .init(5)), .stale),
    ]

    @Test("an entry", arguments: cases)
    func decision(_ test: Case) {
        #expect(cleanup.decision(for: test.entry) == test.decision)
        #expect(test.decision.deletes == [.stale, .untranslated].contains(test.decision))
    }

    @Test("a family with nothing to look for is passed over")
    func families() {
        #expect(cleanup.families == [.ipv4, .ipv6])
        #expect(UDPCleanup(live: [:]).families.isEmpty)
        // Node ports without an address that serves them lead nowhere.
        #expect(UDPCleanup(live: [.ipv4: .init(nodePorts: [30053: []])]).families.isEmpty)
    }
}
