import IPAddressing
import NFTables

/// Keys and data of the maps, as they lie in registers.
extension RegisterValue {
    /// `ip daddr`
    init(_ address: IPAddress) {
        self.init()
        append(address)
    }

    /// `ip daddr . th dport`
    init(_ target: AddressPort) {
        self.init()
        append(target.address)
        appendField(bigEndian: target.port)
    }

    /// `ip daddr . meta l4proto . th dport`
    init(_ address: IPAddress, _ transport: TransportProtocol, _ port: UInt16) {
        self.init()
        append(address)
        appendField(transport.rawValue)
        appendField(bigEndian: port)
    }

    /// `ip saddr . ip daddr` of one that is sent to itself.
    init(hairpin address: IPAddress) {
        self.init()
        append(address)
        append(address)
    }

    private mutating func append(_ address: IPAddress) {
        switch address.family {
        case .ipv4: appendField(bigEndian: UInt32(truncatingIfNeeded: address.low))
        case .ipv6:
            appendField(bigEndian: address.high)
            appendField(bigEndian: address.low)
        }
    }

    /// A slot number, as `numgen` leaves it in a register.
    init(slot: UInt32) {
        self.init(host: slot)
    }

    /// The address that 4 or 16 bytes of map data hold.
    var address: IPAddress? { IPAddress(bytes: bytes) }

    /// The endpoint that a slot's data hold.
    var target: AddressPort? {
        let bytes = self.bytes
        guard bytes.count == 8 || bytes.count == 20, let address = IPAddress(bytes: bytes.dropLast(4)) else {
            return nil
        }
        let port = bytes.suffix(4)
        return AddressPort(address, UInt16(port[port.startIndex]) << 8 | UInt16(port[port.startIndex + 1]))
    }

    /// The number that 4 bytes in the machine's byte order hold.
    var slot: UInt32? {
        let bytes = self.bytes
        guard bytes.count == 4 else { return nil }
        return bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
    }
}
