import IPAddressing
import KubernetesAPI

/// The EndpointSlices of a Service by the ports they have.
///
/// A Service and a slice may have 20,000 ports each: looked for one by one, the join of two such took seconds.
struct SliceJoin {
    private struct Key: Hashable {
        var family: AddressFamily
        var name: String
        var transport: TransportProtocol
    }

    private let all: [EndpointSlice]
    /// Indices of slices with their port numbers; nil where there are few enough to look through.
    private var byPort: [Key: [(index: Int, port: UInt16)]]?

    /// Service ports up to which all slices are looked through for each.
    private static let few = 8

    /// - Parameter ports: how many will be asked for.
    init(_ slices: [EndpointSlice], ports: Int) {
        all = slices
        guard ports > Self.few else { return }
        var byPort: [Key: [(index: Int, port: UInt16)]] = [:]
        for (index, slice) in slices.enumerated() {
            for port in slice.ports {
                let key = Key(family: slice.family, name: port.name, transport: port.transport)
                byPort[key, default: []].append((index, port.port))
            }
        }
        self.byPort = byPort
    }

    /// The slices with a port of that name and protocol, each with the number that it has there.
    func slices(
        _ family: AddressFamily, _ name: String, _ transport: TransportProtocol
    ) -> [(slice: EndpointSlice, port: UInt16)] {
        if let byPort {
            let found = byPort[Key(family: family, name: name, transport: transport)] ?? []
            return found.map { (all[$0.index], $0.port) }
        }
        return all.lazy.filter { $0.family == family }.flatMap { slice in
            slice.ports.lazy.filter { $0.name == name && $0.transport == transport }.map { (slice, $0.port) }
        }
    }
}
