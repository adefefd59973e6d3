import IPAddressing
import NFTables
import Testing

@testable import Ruleset

@Suite("Networks as elements of an interval set")
struct IntervalElementsTests {
    /// `first-end`, where the end is the address behind the last; no end: to the last address of all.
    private func intervals(_ networks: [String], _ family: AddressFamily = .ipv4) -> [String] {
        let elements = IntervalElements.make(networks.compactMap { IPNetwork($0) }, family)
        var result: [String] = []
        for element in elements {
            let text = element.key.address.map { "\($0)" } ?? "?"
            if element.isIntervalEnd { result[result.count - 1] += text } else { result.append(text + "-") }
        }
        return result
    }

    @Test(
        "they are sorted and merged where they touch or overlap",
        arguments: [
            (["10.96.0.0/16"], ["10.96.0.0-10.97.0.0"]),
            (["10.98.0.0/16", "10.96.0.0/16"], ["10.96.0.0-10.97.0.0", "10.98.0.0-10.99.0.0"]),
            (["10.97.0.0/16", "10.96.0.0/16"], ["10.96.0.0-10.98.0.0"]),
            (["10.96.0.0/12", "10.96.5.0/24", "10.100.0.0/16"], ["10.96.0.0-10.112.0.0"]),
            (["10.96.0.0/16", "10.96.0.0/16", "10.96.0.0/24"], ["10.96.0.0-10.97.0.0"]),
            (["10.96.0.0/24", "10.96.0.0/16"], ["10.96.0.0-10.97.0.0"]),
            (["192.0.2.1/32"], ["192.0.2.1-192.0.2.2"]), ([], []),
        ])
    func merging(networks: [String], expected: [String]) {
        #expect(intervals(networks) == expected)
    }

    @Test("the last address of all has none behind it")
    func lastAddress() {
        #expect(intervals(["255.255.0.0/16"]) == ["255.255.0.0-"])
        #expect(intervals(["0.0.0.0/0"]) == ["0.0.0.0-"])
        #expect(intervals(["255.255.255.255/32", "255.255.255.254/32"]) == ["255.255.255.254-"])
        #expect(intervals(["ff00::/8"], .ipv6) == ["ff00::-"])
        #expect(intervals(["::/0", "fd00::/8"], .ipv6) == ["::-"])
    }

    @Test("a carry goes into the upper half of an IPv6 address")
    func carry() {
        #expect(intervals(["fd00::/64"], .ipv6) == ["fd00::-fd00:0:0:1::"])
        #expect(intervals(["fd00::/64", "fd00:0:0:1::/64"], .ipv6) == ["fd00::-fd00:0:0:2::"])
    }

    @Test("each family has its own")
    func families() {
        #expect(intervals(["10.96.0.0/16", "fd00::/112"]) == ["10.96.0.0-10.97.0.0"])
        #expect(intervals(["10.96.0.0/16", "fd00::/112"], .ipv6) == ["fd00::-fd00::1:0"])
    }
}
