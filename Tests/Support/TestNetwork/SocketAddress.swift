import Glibc
import IPAddressing

extension AddressFamily {
    /// AF_INET or AF_INET6.
    var socketDomain: Int32 { self == .ipv4 ? AF_INET : AF_INET6 }

    /// 0.0.0.0 or ::.
    var unspecifiedAddress: IPAddress {
        self == .ipv4 ? IPAddress(ipv4: 0) : IPAddress(high: 0, low: 0)
    }
}

extension AddressPort {
    /// Calls `body` with the `sockaddr_in` or `sockaddr_in6` (ip(7), ipv6(7)) of this endpoint.
    func withSocketAddress<T>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> T) -> T {
        switch address.family {
        case .ipv4:
            var value = sockaddr_in()
            value.sin_family = sa_family_t(AF_INET)
            value.sin_port = port.bigEndian
            value.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.low).bigEndian
            return withUnsafePointer(to: &value) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        case .ipv6:
            var value = sockaddr_in6()
            value.sin6_family = sa_family_t(AF_INET6)
            value.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &value.sin6_addr) { $0.copyBytes(from: address.bytes) }
            return withUnsafePointer(to: &value) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
    }

    /// What a call such as `accept` or `getsockname` fills in; nil when the call fails (errno says why) or
    /// the address is of another family.
    static func filledIn(by call: (UnsafeMutablePointer<sockaddr>, inout socklen_t) -> Bool) -> AddressPort? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer -> AddressPort? in
            let done = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { call($0, &length) }
            guard done else { return nil }
            let raw = UnsafeRawPointer(pointer)
            switch Int32(pointer.pointee.ss_family) {
            case AF_INET:
                let value = raw.loadUnaligned(as: sockaddr_in.self)
                let address = IPAddress(ipv4: UInt32(bigEndian: value.sin_addr.s_addr))
                return AddressPort(address, UInt16(bigEndian: value.sin_port))
            case AF_INET6:
                let value = raw.loadUnaligned(as: sockaddr_in6.self)
                let address = withUnsafeBytes(of: value.sin6_addr) { IPAddress(bytes: $0) }
                return address.map { AddressPort($0, UInt16(bigEndian: value.sin6_port)) }
            default:
                return nil
            }
        }
    }

    /// Parses `192.0.2.1:80` or `[2001:db8::1]:80`.
    init?(parsing text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard let address = IPAddress(host) else { return nil }
        self.init(address, port)
    }
}

extension TransportProtocol {
    /// SOCK_DGRAM for UDP; a stream for the others (SCTP in its one-to-one style, RFC 6458 section 4).
    private var socketType: Int32 {
        self == .udp ? Int32(SOCK_DGRAM.rawValue) : Int32(SOCK_STREAM.rawValue)
    }

    /// A non-blocking socket in the calling thread's namespace. An IPv6 one serves IPv6 alone.
    func socket(_ family: AddressFamily) throws -> Descriptor {
        let flags = Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = try Descriptor(
            Glibc.socket(family.socketDomain, socketType | flags, Int32(rawValue)),
            "open a socket for \(self) over IPv\(family.rawValue)")
        if family == .ipv6 { try descriptor.set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, to: Int32(1)) }
        return descriptor
    }
}

extension Descriptor {
    /// setsockopt(2) with an integer or a plain struct.
    func set<T>(_ level: Int32, _ option: Int32, to value: T) throws {
        let result = withUnsafeBytes(of: value) {
            setsockopt(raw, level, option, $0.baseAddress, socklen_t($0.count))
        }
        guard result == 0 else { throw SystemError("setsockopt \(level)/\(option)") }
    }

    func bind(to endpoint: AddressPort) throws {
        let result = endpoint.withSocketAddress { Glibc.bind(raw, $0, $1) }
        guard result == 0 else { throw SystemError("bind to \(endpoint)") }
    }

    /// The endpoint this socket has at its own side.
    func localEndpoint() throws -> AddressPort {
        guard let local = AddressPort.filledIn(by: { getsockname(raw, $0, &$1) == 0 }) else {
            throw SystemError("getsockname")
        }
        return local
    }

    /// Waits until one of `events` (POLLIN, POLLOUT) or an error is there; false when `deadline` comes
    /// first.
    func wait(for events: Int32, until deadline: ContinuousClock.Instant) throws -> Bool {
        while true {
            let left = max(.zero, ContinuousClock.now.duration(to: deadline))
            let (seconds, attoseconds) = left.components
            // Rounded up: waking early would only spin.
            let milliseconds = Int32(
                clamping: seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
            var entry = pollfd(fd: raw, events: Int16(events), revents: 0)
            let ready = poll(&entry, 1, milliseconds)
            if ready > 0 { return true }
            if ready == 0 { return false }
            guard errno == EINTR else { throw SystemError("poll") }
        }
    }
}
