internal import CNetfilter
import IPAddressing
package import Netlink

extension ConntrackEntry {
    /// Reads an entry out of a dump; nil when the message is something else or lacks a tuple.
    package init?(_ message: NetlinkMessage) {
        guard message.type == UInt16(NFNL_SUBSYS_CTNETLINK) << 8 | UInt16(IPCTNL_MSG_CT_NEW.rawValue)
        else { return nil }
        var original: (Tuple, transport: UInt8, zone: UInt16?)?
        var reply: (Tuple, transport: UInt8, zone: UInt16?)?
        var status: UInt32 = 0
        var zone = Zone.default
        var id: UInt32 = 0
        var timeout: UInt32 = 0
        var attributes = Attributes(of: message)
        while let attribute = attributes.next() {
            switch UInt32(attribute.type) {
            case CTA_TUPLE_ORIG.rawValue: original = Tuple.read(attribute.nested)
            case CTA_TUPLE_REPLY.rawValue: reply = Tuple.read(attribute.nested)
            case CTA_STATUS.rawValue: status = attribute.bigEndian32
            case CTA_TIMEOUT.rawValue: timeout = attribute.bigEndian32
            case CTA_ID.rawValue: id = attribute.bigEndian32
            case CTA_ZONE.rawValue: zone = Zone(attribute.bigEndian16)
            default: break
            }
        }
        guard let original, let reply else { return nil }
        if let number = original.zone { zone = Zone(number, .original) }
        if let number = reply.zone { zone = Zone(number, .reply) }
        self.init(
            transport: original.transport, original: original.0, reply: reply.0,
            status: Status(rawValue: status), zone: zone, id: id, timeout: timeout)
    }
}

extension ConntrackEntry.Tuple {
    fileprivate static func read(
        _ attributes: Attributes
    ) -> (ConntrackEntry.Tuple, transport: UInt8, zone: UInt16?)? {
        var source: IPAddress?
        var destination: IPAddress?
        var (sourcePort, destinationPort): (UInt16, UInt16) = (0, 0)
        var transport: UInt8 = 0
        var zone: UInt16?
        var attributes = attributes
        while let attribute = attributes.next() {
            switch UInt32(attribute.type) {
            case CTA_TUPLE_IP.rawValue:
                var parts = attribute.nested
                while let part = parts.next() {
                    switch UInt32(part.type) {
                    case CTA_IP_V4_SRC.rawValue, CTA_IP_V6_SRC.rawValue: source = part.address
                    case CTA_IP_V4_DST.rawValue, CTA_IP_V6_DST.rawValue: destination = part.address
                    default: break
                    }
                }
            case CTA_TUPLE_PROTO.rawValue:
                var parts = attribute.nested
                while let part = parts.next() {
                    switch UInt32(part.type) {
                    case CTA_PROTO_NUM.rawValue: transport = part.payload.first ?? 0
                    case CTA_PROTO_SRC_PORT.rawValue: sourcePort = part.bigEndian16
                    case CTA_PROTO_DST_PORT.rawValue: destinationPort = part.bigEndian16
                    default: break
                    }
                }
            case CTA_TUPLE_ZONE.rawValue:
                zone = attribute.bigEndian16
            default:
                break
            }
        }
        guard let source, let destination, transport != 0 else { return nil }
        let tuple = ConntrackEntry.Tuple(
            source: AddressPort(source, sourcePort), destination: AddressPort(destination, destinationPort))
        return (tuple, transport, zone)
    }
}

extension Attribute {
    /// Loaded as numbers: a table has hundreds of thousands of entries, with four addresses each.
    fileprivate var address: IPAddress? {
        switch payload.count {
        case 4:
            IPAddress(ipv4: bigEndian32)
        case 16:
            IPAddress(
                high: bigEndian64,
                low: UInt64(bigEndian: payload.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        default:
            nil
        }
    }
}
