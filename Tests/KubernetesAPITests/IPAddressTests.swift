import Glibc
import IPAddressing
import SeededRandom
import Testing

@Suite("IP addresses and networks")
struct IPAddressTests {
    @Test(
        "text survives a round trip in its canonical form",
        arguments: [
            ("10.0.0.1", "10.0.0.1"), ("FD00:0:0::1", "fd00::1"), ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::", "::"), ("255.255.255.255", "255.255.255.255"),
        ])
    func roundTrip(text: String, canonical: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == canonical)
        #expect(IPAddress(bytes: address.bytes) == address)
    }

    @Test(
        "what isn't an address is refused",
        arguments: ["", "10.0.0", "10.0.0.01", "10.0.0.256", "fe80::1%eth0", "1.2.3.4 ", "::g", "10.0.0.1/8"])
    func refused(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(
        "lenient text has leading zeros that mean nothing, and strict text has none",
        arguments: [
            ("010.096.000.010", "10.96.0.10"), ("10.0.0.01", "10.0.0.1"), ("00000010.0.0.255", "10.0.0.255"),
            ("000.00.0.0", "0.0.0.0"), ("::ffff:010.0.0.08", "10.0.0.8"),
            ("64:ff9b::010.0.0.8", "64:ff9b::a00:8"),
        ])
    func lenient(text: String, canonical: String) {
        #expect(IPAddress(text) == nil)
        #expect(IPAddress(lenient: text)?.description == canonical)
    }

    @Test(
        "what isn't an address is refused however lenient",
        arguments: [
            "", "010.0.0", "010.0.0.0256", "010.0.0.0.1", "0x10.0.0.1", "010.0.0.1 ", "010.0.0.-1",
            "010..0.1",
            "::1:010.0.0.256", "1:2:3:4:5:6:7:010.0.0.1", "::010.0.0.1:1", "010.0.0.1::", "08",
            "fe80::1%eth0",
            "\(String(repeating: "0", count: 1000))10.0.0.1",
        ])
    func refusedLeniently(text: String) {
        #expect(IPAddress(lenient: text) == nil)
    }

    @Test(
        "a lenient network has leading zeros that mean nothing",
        arguments: [
            ("010.0.0.0/8", "10.0.0.0/8"), ("10.0.0.0/08", "10.0.0.0/8"), ("010.010.1.1/016", "10.10.0.0/16"),
            ("0.0.0.0/00", "0.0.0.0/0"), ("fd00::/064", "fd00::/64"), ("10.0.0.0/8", "10.0.0.0/8"),
        ])
    func lenientNetwork(text: String, canonical: String) {
        #expect(IPNetwork(lenient: text)?.description == canonical)
    }

    @Test(
        "lengths that don't fit are refused however lenient",
        arguments: [
            "010.0.0.0/033", "::/0129", "010.0.0.0/-1", "010.0.0.0/+8", "010.0.0.0", "10.0.0.0/", "/8",
        ])
    func badLenientNetworks(text: String) {
        #expect(IPNetwork(lenient: text) == nil)
    }

    @Test("any text is the address that inet_pton(3) sees in it, and what is lenient sees the same")
    func random() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let pieces = [
            "0", "1", "9", "25", "255", "256", ".", ".", ".", ":", "::", "f", "g", "10.", "0.0.0", " ",
        ]
        var addressCount = 0
        for _ in 0..<50_000 {
            let text = (0..<random.number(1...9)).map { _ in pieces[random.number(0...15)] }.joined()
            var v4 = in_addr()
            var v6 = in6_addr()
            var expected: IPAddress?
            if inet_pton(AF_INET, text, &v4) == 1 {
                expected = IPAddress(ipv4: UInt32(bigEndian: v4.s_addr))
            } else if inet_pton(AF_INET6, text, &v6) == 1 {
                expected = withUnsafeBytes(of: &v6) { IPAddress(bytes: $0) }
                if let address = expected, address.high == 0, address.low >> 32 == 0xffff { continue }
            }
            #expect(IPAddress(text) == expected, "seed \(seed): \(text)")
            guard let expected else { continue }
            #expect(IPAddress(lenient: text) == expected, "seed \(seed): \(text)")
            addressCount += 1
        }
        #expect(addressCount > 100, "seed \(seed)")
    }

    @Test(
        "a network holds its first and last address and not their neighbours",
        arguments: [
            ("10.96.0.0/12", "10.96.0.0", "10.111.255.255", "10.112.0.0"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("fd00:10::/108", "fd00:10::", "fd00:10::f:ffff", "fd00:10::10:0"),
            ("2001:db8::/64", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::"),
        ])
    func bounds(cidr: String, first: String, last: String, outside: String) throws {
        let network = try #require(IPNetwork(cidr))
        #expect(network.address.description == first)
        #expect(network.lastAddress.description == last)
        #expect(network.contains(network.address) && network.contains(network.lastAddress))
        #expect(!network.contains(try #require(IPAddress(outside))))
    }

    @Test(
        "lengths that don't fit are refused",
        arguments: ["10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0", "10.0.0.0/08"])
    func badNetworks(text: String) {
        #expect(IPNetwork(text) == nil)
    }

    @Test(
        "an address with a port is read as Go's net.SplitHostPort splits it",
        arguments: [
            ("127.0.0.1:1", "127.0.0.1:1"), ("[::]:65535", "[::]:65535"), ("127.0.0.1", nil), ("::1:80", nil),
            ("[::1]", nil), ("127.0.0.1:0", nil), ("127.0.0.1:65536", nil), ("127.0.0.1:+1", nil),
            ("localhost:1", nil), (":80", nil), (":", nil), ("80", nil), ("", nil), ("[]:80", nil),
            ("[::1:80", nil), ("[127.0.0.1]:80", "127.0.0.1:80"),
        ])
    func addressPort(text: String, parsed: String?) {
        #expect(AddressPort(text)?.description == parsed)
    }
}
