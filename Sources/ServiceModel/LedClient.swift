public import IPAddressing

/// A client that is led to one endpoint of a service port, by whichever proxy.
public struct LedClient: Sendable, Hashable {
    public let client: IPAddress
    public let endpoint: AddressPort
    /// Milliseconds that it is remembered for, unless it comes again.
    public let remaining: UInt64

    public init(client: IPAddress, endpoint: AddressPort, remaining: UInt64) {
        self.client = client
        self.endpoint = endpoint
        self.remaining = remaining
    }
}
