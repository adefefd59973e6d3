internal import CNetfilter
package import IPAddressing

/// Writes ctnetlink requests, one after the other as one datagram.
package struct RequestWriter {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    // MARK: Requests

    /// Asks for all entries of a family. The kernel leaves out what a filter excludes if it knows the filter; one that
    /// doesn't passes over the attribute, or refuses it (EOPNOTSUPP).
    package mutating func dump(
        _ family: AddressFamily, protocol transport: TransportProtocol?, status: StatusFilter?,
        sequence: UInt32
    ) {
        let flags = NLM_F_REQUEST | NLM_F_DUMP
        message(IPCTNL_MSG_CT_GET, flags: flags, family: family, sequence: sequence) { request in
            if let transport {
                request.nest(CTA_TUPLE_ORIG.rawValue) { tuple in
                    tuple.nest(CTA_TUPLE_PROTO.rawValue) {
                        $0.put(CTA_PROTO_NUM.rawValue, [transport.rawValue])
                    }
                }
                request.nest(CTA_FILTER.rawValue) { filter in
                    // In the host's byte order, unlike all else here.
                    filter.put(CTA_FILTER_ORIG_FLAGS.rawValue, host: Self.filterByProtocol)
                }
            }
            if let status {
                request.put(CTA_STATUS.rawValue, network: status.value.rawValue)
                request.put(CTA_STATUS_MASK.rawValue, network: status.mask.rawValue)
            }
        }
    }

    /// CTA_FILTER_F_CTA_PROTO_NUM: part of the interface since Linux 5.8, though only the kernel's own
    /// net/netfilter/nf_internals.h and libnetfilter_conntrack spell it out.
    private static let filterByProtocol: UInt32 = 1 << 3

    /// Asks to delete the entry and no other.
    ///
    /// It is looked up by its reply tuple. The id covers the original tuple already, but not the translation: an entry
    /// that came after this one, with its original tuple and in its place in memory, has its id, and would be hit
    /// although it leads to another endpoint.
    package mutating func delete(_ entry: ConntrackEntry, sequence: UInt32) {
        let flags = NLM_F_REQUEST | NLM_F_ACK
        message(IPCTNL_MSG_CT_DELETE, flags: flags, family: entry.family, sequence: sequence) { request in
            // Without a tuple this message would empty the table.
            request.put(
                entry.reply, transport: entry.transport, as: CTA_TUPLE_REPLY.rawValue,
                zone: entry.zone.direction == .reply ? entry.zone.number : nil)
            if entry.zone.direction == .both { request.put(zone: entry.zone) }
            request.put(CTA_ID.rawValue, network: entry.id)
        }
    }

    /// Asks to make an entry. The cleanup never does; it shows what a table full of them costs.
    package mutating func create(_ entry: ConntrackEntry, sequence: UInt32) {
        let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
        message(IPCTNL_MSG_CT_NEW, flags: flags, family: entry.family, sequence: sequence) { request in
            let zone = entry.zone
            request.put(
                entry.original, transport: entry.transport, as: CTA_TUPLE_ORIG.rawValue,
                zone: zone.direction == .original ? zone.number : nil)
            request.put(
                entry.reply, transport: entry.transport, as: CTA_TUPLE_REPLY.rawValue,
                zone: zone.direction == .reply ? zone.number : nil)
            if zone.direction == .both { request.put(zone: zone) }
            request.put(CTA_STATUS.rawValue, network: entry.status.union(.confirmed).rawValue)
            request.put(CTA_TIMEOUT.rawValue, network: entry.timeout)
        }
    }

    // MARK: Parts

    private mutating func put(
        _ tuple: ConntrackEntry.Tuple, transport: UInt8, as type: UInt32, zone: UInt16?
    ) {
        let isIPv4 = tuple.source.address.family == .ipv4
        nest(type) { nest in
            nest.nest(CTA_TUPLE_IP.rawValue) { ip in
                ip.put((isIPv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC).rawValue, tuple.source.address.bytes)
                ip.put((isIPv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST).rawValue, tuple.destination.address.bytes)
            }
            nest.nest(CTA_TUPLE_PROTO.rawValue) { proto in
                proto.put(CTA_PROTO_NUM.rawValue, [transport])
                proto.put(CTA_PROTO_SRC_PORT.rawValue, network: tuple.source.port)
                proto.put(CTA_PROTO_DST_PORT.rawValue, network: tuple.destination.port)
            }
            if let zone { nest.put(CTA_TUPLE_ZONE.rawValue, network: zone) }
        }
    }

    private mutating func put(zone: ConntrackEntry.Zone) {
        // A kernel built without zones refuses the attribute whatever is in it.
        if zone != .default { put(CTA_ZONE.rawValue, network: zone.number) }
    }

    private mutating func message(
        _ type: cntl_msg_types, flags: Int32, family: AddressFamily, sequence: UInt32,
        _ body: (inout Self) -> Void
    ) {
        let start = bytes.count
        append(UInt32(0))
        append(UInt16(NFNL_SUBSYS_CTNETLINK) << 8 | UInt16(type.rawValue))
        append(UInt16(flags))
        append(sequence)
        append(UInt32(0))  // Port: the kernel fills it in.
        let domain = family == .ipv4 ? AF_INET : AF_INET6
        bytes += [UInt8(domain), UInt8(NFNETLINK_V0), 0, 0]
        body(&self)
        withUnsafeBytes(of: UInt32(bytes.count - start)) {
            bytes.replaceSubrange(start..<start + 4, with: $0)
        }
    }

    private mutating func nest(_ type: UInt32, _ body: (inout Self) -> Void) {
        let start = bytes.count
        append(UInt16(0))
        append(UInt16(type) | UInt16(NLA_F_NESTED))
        body(&self)
        withUnsafeBytes(of: UInt16(bytes.count - start)) {
            bytes.replaceSubrange(start..<start + 2, with: $0)
        }
    }

    private mutating func put(_ type: UInt32, _ payload: [UInt8]) {
        append(UInt16(4 + payload.count))
        append(UInt16(type))
        bytes += payload
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    private mutating func put(_ type: UInt32, network value: some FixedWidthInteger) {
        put(type, host: value.bigEndian)
    }

    private mutating func put(_ type: UInt32, host value: some FixedWidthInteger) {
        put(type, withUnsafeBytes(of: value) { Array($0) })
    }

    private mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { bytes += $0 }
    }
}
