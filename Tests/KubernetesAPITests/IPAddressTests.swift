import IPAddressing
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
}
