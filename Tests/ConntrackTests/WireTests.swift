import Conntrack
import Glibc
import IPAddressing
import Netlink
import Testing

// Numbers in headers and attribute lengths are in the host's byte order, which all of Sluice's machines have little
// endian; addresses, ports, ids and bits are in network byte order.
@Suite("What goes over the wire")
struct WireTests {
    private static let originalTuple: [UInt8] = [
        0x34, 0, 0x01, 0x80,  // CTA_TUPLE_ORIG, nested, 52 bytes
        0x14, 0, 0x01, 0x80,  // CTA_TUPLE_IP, nested, 20 bytes
        8, 0, 1, 0, 10, 244, 0, 10,  // CTA_IP_V4_SRC
        8, 0, 2, 0, 10, 96, 0, 10,  // CTA_IP_V4_DST
        0x1c, 0, 0x02, 0x80,  // CTA_TUPLE_PROTO, nested, 28 bytes
        5, 0, 1, 0, 17, 0, 0, 0,  // CTA_PROTO_NUM: UDP
        6, 0, 2, 0, 0x0f, 0xa0, 0, 0,  // CTA_PROTO_SRC_PORT: 4000
        6, 0, 3, 0, 0, 53, 0, 0,  // CTA_PROTO_DST_PORT: 53
    ]
    private static let replyTuple: [UInt8] = [
        0x34, 0, 0x02, 0x80,  // CTA_TUPLE_REPLY, nested, 52 bytes
        0x14, 0, 0x01, 0x80,  // CTA_TUPLE_IP
        8, 0, 1, 0, 10, 244, 0, 2,  // CTA_IP_V4_SRC
        8, 0, 2, 0, 192, 168, 100, 1,  // CTA_IP_V4_DST
        0x1c, 0, 0x02, 0x80,  // CTA_TUPLE_PROTO
        5, 0, 1, 0, 17, 0, 0, 0,  // CTA_PROTO_NUM
        6, 0, 2, 0, 0x14, 0xe9, 0, 0,  // CTA_PROTO_SRC_PORT: 5353
        6, 0, 3, 0, 0x04, 0x06, 0, 0,  // CTA_PROTO_DST_PORT: 1030
    ]
    private static var sample: ConntrackEntry {
        var sample = entry(
            to: "10.96.0.10:53", ledTo: "10.244.0.2:5353", masqueradedAs: "192.168.100.1:1030", timeout: 29)
        sample.status = [.confirmed, .sourceNAT, .destinationNAT, .seenReply]
        sample.id = 0x0102_0304
        return sample
    }

    private func header(_ length: UInt8, type: UInt8, flags: [UInt8], family: Int32 = AF_INET) -> [UInt8] {
        // Subsystem 1 is ctnetlink; sequence 9, port 0; then nfgenmsg: family, version 0, resource 0.
        [length, 0, 0, 0, type, 1] + flags + [9, 0, 0, 0, 0, 0, 0, 0, UInt8(family), 0, 0, 0]
    }

    @Test("a dump asks for one family and protocol")
    func dump() {
        var writer = RequestWriter()
        writer.dump(.ipv4, protocol: .udp, status: nil, sequence: 9)
        #expect(
            writer.bytes == header(48, type: 1, flags: [0x01, 0x03]) + [
                0x10, 0, 0x01, 0x80,  // CTA_TUPLE_ORIG
                0x0c, 0, 0x02, 0x80,  // CTA_TUPLE_PROTO
                5, 0, 1, 0, 17, 0, 0, 0,  // CTA_PROTO_NUM
                0x0c, 0, 0x19, 0x80,  // CTA_FILTER
                8, 0, 1, 0, 8, 0, 0, 0,  // CTA_FILTER_ORIG_FLAGS: the protocol's number, host byte order
            ])
    }

    @Test("a dump asks for status bits")
    func dumpByStatus() {
        var writer = RequestWriter()
        let filter = StatusFilter(mask: [.destinationNAT, .assured], value: [.assured, .dying])
        writer.dump(.ipv6, protocol: nil, status: filter, sequence: 9)
        #expect(
            writer.bytes == header(36, type: 1, flags: [0x01, 0x03], family: AF_INET6) + [
                8, 0, 3, 0, 0, 0, 0, 0x04,  // CTA_STATUS
                8, 0, 0x1a, 0, 0, 0, 0, 0x24,  // CTA_STATUS_MASK
            ])
    }

    @Test("a deletion names the reply tuple and the id")
    func deletion() {
        var writer = RequestWriter()
        writer.delete(Self.sample, sequence: 9)
        #expect(
            writer.bytes == header(80, type: 2, flags: [0x05, 0x00]) + Self.replyTuple + [
                8, 0, 12, 0, 1, 2, 3, 4,  // CTA_ID
            ])
    }

    @Test("a deletion names the zone where the entry has one")
    func zones() {
        let zone = { (zone: ConntrackEntry.Zone) in
            var writer = RequestWriter()
            writer.delete(entry(to: "10.96.0.10:53", zone: zone), sequence: 9)
            return writer.bytes
        }
        let plain = zone(.default)
        #expect(zone(.init(258)).count == plain.count + 8)
        #expect(zone(.init(258)).suffix(16).prefix(8) == [6, 0, 18, 0, 1, 2, 0, 0])  // CTA_ZONE
        // The reply direction of these is in zone 0.
        #expect(zone(.init(258, .original)) == plain)
        #expect(zone(.init(258, .reply)).suffix(16).prefix(8) == [6, 0, 3, 0, 1, 2, 0, 0])  // CTA_TUPLE_ZONE
    }

    private func decode(_ bytes: [UInt8]) throws -> [ConntrackEntry?] {
        // Messages lie aligned in a datagram.
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
        defer { buffer.deallocate() }
        buffer.copyBytes(from: bytes)
        var result: [ConntrackEntry?] = []
        try NetlinkMessage.forEach(in: UnsafeRawBufferPointer(buffer)) { (message) throws(KernelError) in
            result.append(ConntrackEntry(message))
            return true
        }
        return result
    }

    private static let tail: [UInt8] = [
        8, 0, 3, 0, 0, 0, 0, 0x3a,  // CTA_STATUS
        8, 0, 7, 0, 0, 0, 0, 29,  // CTA_TIMEOUT
        8, 0, 8, 0, 0, 0, 0, 0,  // CTA_MARK, which nobody asked for
        8, 0, 12, 0, 1, 2, 3, 4,  // CTA_ID
    ]

    @Test("an entry is read with both tuples, status, timeout and id")
    func decoding() throws {
        let message = header(156, type: 0, flags: [2, 0]) + Self.originalTuple + Self.replyTuple + Self.tail
        #expect(try decode(message) == [Self.sample])
        #expect(try decode(message + message) == [Self.sample, Self.sample])
    }

    @Test("an IPv6 entry is read")
    func decodingIPv6() throws {
        let tuple = { (type: UInt8, source: UInt8, destination: UInt8) -> [UInt8] in
            let prefix: [UInt8] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            return [0x4c, 0, type, 0x80, 0x2c, 0, 0x01, 0x80, 20, 0, 3, 0] + prefix + [source]
                + [20, 0, 4, 0] + prefix + [destination]
                + [
                    0x1c, 0, 0x02, 0x80, 5, 0, 1, 0, 17, 0, 0, 0, 6, 0, 2, 0, 0, 1, 0, 0, 6, 0, 3, 0, 0, 2, 0,
                    0,
                ]
        }
        let message = header(172, type: 0, flags: [2, 0], family: AF_INET6) + tuple(1, 1, 2) + tuple(2, 2, 1)
        let read = try #require(try decode(message).first ?? nil)
        #expect(read.original == .init(source: at("[fd00::1]:1"), destination: at("[fd00::2]:2")))
        #expect(read.family == .ipv6)
    }

    @Test(
        "a message that is cut anywhere is no entry and no crash",
        arguments: Array(stride(from: 20, to: 156, by: 4))
    )
    func cut(_ length: Int) throws {
        var message = header(156, type: 0, flags: [2, 0]) + Self.originalTuple + Self.replyTuple + Self.tail
        message = Array(message.prefix(length))
        message[0] = UInt8(length)
        let read = try decode(message)
        #expect(read.count == 1)
        // Up to the end of the second tuple something essential is missing.
        if length < 124 { #expect(read == [nil]) }
    }

    @Test("an entry reads as a sentence")
    func description() {
        #expect(
            "\(Self.sample)" == "udp 10.244.0.10:4000 > 10.96.0.10:53, reply from 10.244.0.2:5353")
    }
}
