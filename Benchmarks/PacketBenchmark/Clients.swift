import Glibc
import IPAddressing

/// The clients that connections come from: 100,000 addresses in turn, each time with another port, so that no two
/// connections of a measurement have the same four numbers, and no address comes twice in a short while.
enum Clients {
    static let count = 100_000
    /// All of their addresses.
    static let network = "10.32.0.0/15"

    private static let first: UInt32 = 10 << 24 | 32 << 16
    private static let ports = 10_000..<60_000

    static func address(_ client: Int) -> IPAddress { IPAddress(ipv4: first + UInt32(1 + client)) }

    /// The source of the n-th connection.
    static func source(_ number: Int) -> sockaddr_in {
        // A prime step: clients next to each other in time are not so in memory.
        socketAddress(
            first + UInt32(1 + number * 7_919 % count),
            UInt16(ports.lowerBound + number / count % ports.count))
    }
}

func socketAddress(_ address: UInt32, _ port: UInt16) -> sockaddr_in {
    var value = sockaddr_in()
    value.sin_family = sa_family_t(AF_INET)
    value.sin_port = port.bigEndian
    value.sin_addr.s_addr = address.bigEndian
    return value
}

extension AddressPort {
    /// Of an IPv4 address.
    var inSocketForm: sockaddr_in { socketAddress(UInt32(truncatingIfNeeded: address.low), port) }
}
