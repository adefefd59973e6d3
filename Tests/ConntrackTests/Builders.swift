import Conntrack
import IPAddressing

/// `10.0.0.1:53` or `[fd00::1]:53`.
func at(_ text: String) -> AddressPort {
    let colon = text.lastIndex(of: ":") ?? text.endIndex
    let host = text[..<colon].filter { $0 != "[" && $0 != "]" }
    guard let address = IPAddress(host), let port = UInt16(text[colon...].dropFirst()) else {
        preconditionFailure("\(text) is no address and port")
    }
    return AddressPort(address, port)
}

/// An entry of a client that sent to `destination` and is led to `endpoint`; nil: to `destination` itself.
func entry(
    _ transport: TransportProtocol = .udp, from client: String = "10.244.0.10:4000", to destination: String,
    ledTo endpoint: String? = nil, masqueradedAs source: String? = nil,
    zone: ConntrackEntry.Zone = .default, timeout: UInt32 = 600
) -> ConntrackEntry {
    ConntrackEntry(
        transport: transport.rawValue,
        original: .init(source: at(client), destination: at(destination)),
        reply: .init(source: at(endpoint ?? destination), destination: at(source ?? client)),
        zone: zone, timeout: timeout)
}

extension ConntrackConnection {
    /// All entries, in the order of their original tuples.
    func entries(
        _ family: AddressFamily = .ipv4, protocol transport: TransportProtocol? = nil,
        status: StatusFilter? = nil
    ) throws -> [ConntrackEntry] {
        var result: [ConntrackEntry] = []
        try dump(family, protocol: transport, status: status) { result.append($0) }
        return result.sorted {
            ($0.original.destination, $0.original.source) < ($1.original.destination, $1.original.source)
        }
    }
}
