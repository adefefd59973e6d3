import HTTPServing
public import IPAddressing

/// Where a server listens: `healthzBindAddress` and `metricsBindAddress`.
public struct BindAddress: Sendable, Hashable {
    /// Nil: all addresses of both families.
    public let address: IPAddress?
    public let port: UInt16

    /// - Parameter address: 0.0.0.0 and :: are all addresses of both families, as for kube-proxy, and so is nil.
    public init(_ address: IPAddress?, port: UInt16) {
        self.address = address.flatMap { HTTPPort.allAddresses.contains($0) ? nil : $0 }
        self.port = port
    }

    public init(_ address: AddressPort) { self.init(address.address, port: address.port) }

    /// What is to be bound.
    var addresses: [IPAddress] { address.map { [$0] } ?? HTTPPort.allAddresses }
}

extension BindAddress: CustomStringConvertible {
    /// `0.0.0.0:10256` for all addresses.
    public var description: String { "\(AddressPort(address ?? IPAddress(ipv4: 0), port))" }
}
