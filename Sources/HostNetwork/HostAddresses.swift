internal import CNetfilter
import Glibc
import IPAddressing

/// This host's addresses as they are now.
public enum HostAddresses {
    /// How often the list is read at most when it changes while it is read.
    static let attempts = 16

    /// All usable addresses of the calling thread's network namespace, both families, sorted by address.
    ///
    /// - Parameter includingTentative: also those that can't be used yet (`HostAddress.isTentative`).
    public static func read(includingTentative: Bool = false) throws(HostNetworkError) -> [HostAddress] {
        var socket = try RouteSocket()
        return try read(&socket, includingTentative: includingTentative)
    }

    static func read(
        _ socket: inout RouteSocket, includingTentative: Bool = false
    ) throws(HostNetworkError) -> [HostAddress] {
        for _ in 0..<attempts {
            var addresses: [HostAddress] = []
            let headerLength = MemoryLayout<ifaddrmsg>.size
            let isWhole = try socket.dump("addresses", type: Int(RTM_GETADDR), headerLength: headerLength) {
                guard let address = HostAddress($0), includingTentative || !address.isTentative else {
                    return
                }
                addresses.append(address)
            }
            // Names come second: an interface without one is gone by now, and its addresses with it.
            guard isWhole, let names = try interfaceNames(&socket) else { continue }
            return addresses.compactMap { address in
                guard let name = names[address.interfaceIndex] else { return nil }
                var address = address
                address.interfaceName = name
                return address
            }.sorted {
                ($0.address, $0.interfaceIndex, $0.prefixLength)
                    < ($1.address, $1.interfaceIndex, $1.prefixLength)
            }
        }
        throw .unstable(attempts: attempts)
    }

    /// Names by index; nil when they changed meanwhile. (if_indextoname(3) would ask the namespace of the
    /// thread that happens to call, not the socket's.)
    private static func interfaceNames(
        _ socket: inout RouteSocket
    ) throws(HostNetworkError) -> [UInt32: String]? {
        var names: [UInt32: String] = [:]
        let headerLength = MemoryLayout<ifinfomsg>.size
        let isWhole = try socket.dump("interfaces", type: Int(RTM_GETLINK), headerLength: headerLength) {
            if let (index, name) = $0.interfaceName { names[index] = name }
        }
        return isWhole ? names : nil
    }
}

extension RouteMessage {
    /// An interface's number and name; nil when the message tells of none.
    package var interfaceName: (index: UInt32, name: String)? {
        guard Int32(header.pointee.nlmsg_type) == Int32(RTM_NEWLINK),
            let link = payload(as: ifinfomsg.self)
        else { return nil }
        var name: String?
        forEachAttribute(after: MemoryLayout<ifinfomsg>.size) { type, bytes in
            guard type == Int(IFLA_IFNAME) else { return }
            name = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return name.map { (UInt32(bitPattern: link.ifi_index), $0) }
    }
}

extension HostAddress {
    /// An address without its interface's name; nil when the message holds none of IPv4 or IPv6.
    package init?(_ message: RouteMessage) {
        guard Int32(message.header.pointee.nlmsg_type) == Int32(RTM_NEWADDR),
            let header = message.payload(as: ifaddrmsg.self)
        else { return nil }
        var prefixAddress: IPAddress?
        var localAddress: IPAddress?
        var flags = UInt32(header.ifa_flags)
        message.forEachAttribute(after: MemoryLayout<ifaddrmsg>.size) { type, bytes in
            switch type {
            case Int(IFA_ADDRESS): prefixAddress = IPAddress(bytes: bytes)
            case Int(IFA_LOCAL): localAddress = IPAddress(bytes: bytes)
            case Int(IFA_FLAGS) where bytes.count >= 4: flags = bytes.loadUnaligned(as: UInt32.self)
            default: break
            }
        }
        // Of a point-to-point link, IFA_ADDRESS is the other end. IPv6 has no IFA_LOCAL without a peer.
        guard let address = localAddress ?? prefixAddress,
            Int32(header.ifa_family) == (address.family == .ipv4 ? AF_INET : AF_INET6)
        else { return nil }
        // An optimistic address (RFC 4429) is usable while it is looked for duplicates.
        let isOptimistic = flags & UInt32(IFA_F_OPTIMISTIC) != 0
        let isUntested = flags & UInt32(IFA_F_TENTATIVE) != 0 && !isOptimistic
        self.init(
            address: address, prefixLength: Int(header.ifa_prefixlen), interfaceIndex: header.ifa_index,
            interfaceName: "", scope: Scope(rawValue: header.ifa_scope),
            isTentative: isUntested || flags & UInt32(IFA_F_DADFAILED) != 0,
            isDeprecated: flags & UInt32(IFA_F_DEPRECATED) != 0)
    }
}
