import CPacketLoad
import Glibc
import IPAddressing

/// What goes over the node.
enum Traffic: String, Codable, CaseIterable {
    /// Connections, one after the other: connected, accepted and closed by a reset, so that nothing waits for its end.
    case tcpConnections = "new TCP connections"
    /// A datagram from a new port and its answer, one after the other.
    case udpExchanges = "new UDP flows"
    /// Datagrams of 64 bytes of one flow, from the client to the server, in batches of 32.
    case udpFlow = "packets of a UDP flow"
    /// Bytes of one connection, from the client to the server.
    case tcpStream = "bytes of a TCP stream"

    var transport: TransportProtocol {
        switch self {
        case .tcpConnections, .tcpStream: .tcp
        case .udpExchanges, .udpFlow: .udp
        }
    }

    /// Each packet is the first of its connection, or nearly so.
    var isNewConnections: Bool { self == .tcpConnections || self == .udpExchanges }
}

/// What one stretch of traffic came to.
struct Slice {
    /// Connections, packets or bytes.
    var count = 0
    var seconds = 0.0
    /// Of connections; of a flow's batches.
    var latencies = Latencies()
    var failures = 0
    var lastFailure: String?
    /// Connections begun, those before the measurement among them.
    var begun = 0
}

/// Traffic from a client to one address, both ends worked by one thread: a connection never waits for another thread to
/// wake up, so what is measured is the packets' way through the kernel, softly interrupted or not.
struct Load: Sendable {
    let traffic: Traffic
    let target: AddressPort
    let server: ServerEnds
    /// Seconds that are measured.
    let duration: Double
    /// Seconds before that.
    let warmUp: Double

    private static let batch: UInt32 = 32
    private static let datagramLength = 64
    private static let mostFailures = 3

    /// To be called in the client's namespace.
    /// - Parameter first: number of the first connection (`Clients.source`).
    func run(first: Int) -> Slice {
        switch traffic {
        case .tcpConnections: connections(first: first) { tcpConnection(from: $0) }
        case .udpExchanges: connections(first: first) { udpExchange(from: $0) }
        case .udpFlow: established { try udpFlow(from: Clients.source(first)) }
        case .tcpStream: established { try tcpStream(from: Clients.source(first)) }
        }
    }

    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    // MARK: New connections

    /// - Parameter connect: makes one; nil when it went well, else what failed.
    @inline(__always)
    private func connections(first: Int, _ connect: (sockaddr_in) -> String?) -> Slice {
        var slice = Slice()
        let start = Self.now() + UInt64(warmUp * 1e9)
        var before = Self.now()
        var began: UInt64?
        // Counted from the first connection behind the warm-up: one that takes longer than both is measured too.
        var end = UInt64.max
        while before < end, slice.failures < Self.mostFailures {
            if began == nil, before >= start {
                began = before
                end = before + UInt64(duration * 1e9)
            }
            let failure = connect(Clients.source(first + slice.begun))
            slice.begun += 1
            let after = Self.now()
            if let failure {
                slice.failures += 1
                slice.lastFailure = failure
            } else if began != nil {
                slice.count += 1
                slice.latencies.add(after - before)
            }
            before = after
        }
        slice.seconds = began.map { Double(before - $0) / 1e9 } ?? 0
        return slice
    }

    @inline(__always)
    private func tcpConnection(from source: sockaddr_in) -> String? {
        let client = socket(AF_INET, Sockets.stream, 0)
        guard client >= 0 else { return "\(LoadError("socket"))" }
        defer { close(client) }
        Sockets.set(client, SO_LINGER, linger(l_onoff: 1, l_linger: 0))
        Sockets.set(client, SO_SNDTIMEO, Sockets.patience)
        guard Sockets.bind(client, source) else { return "\(LoadError("bind"))" }
        guard Sockets.connect(client, target.inSocketForm) else { return "\(LoadError("connect"))" }
        let accepted = accept(server.listener, nil, nil)
        guard accepted >= 0 else { return "\(LoadError("accept"))" }
        close(accepted)
        return nil
    }

    @inline(__always)
    private func udpExchange(from source: sockaddr_in) -> String? {
        let client = socket(AF_INET, Sockets.datagram, 0)
        guard client >= 0 else { return "\(LoadError("socket"))" }
        defer { close(client) }
        Sockets.set(client, SO_RCVTIMEO, Sockets.patience)
        guard Sockets.bind(client, source) else { return "\(LoadError("bind"))" }
        guard Sockets.connect(client, target.inSocketForm) else { return "\(LoadError("connect"))" }
        var byte: UInt8 = 0
        guard send(client, &byte, 1, Int32(MSG_NOSIGNAL)) == 1 else { return "\(LoadError("send"))" }
        guard packet_load_answer(server.datagrams) == 0 else {
            return "\(LoadError("receive at the server"))"
        }
        guard recv(client, &byte, 1, 0) == 1 else { return "\(LoadError("receive the answer"))" }
        return nil
    }

    // MARK: Established connections

    private func established(_ body: () throws -> Slice) -> Slice {
        do {
            return try body()
        } catch {
            return Slice(failures: 1, lastFailure: "\(error)", begun: 1)
        }
    }

    private func udpFlow(from source: sockaddr_in) throws -> Slice {
        let client = try Sockets.make(Sockets.datagram)
        defer { close(client) }
        Sockets.set(client, SO_RCVTIMEO, Sockets.patience)
        guard Sockets.bind(client, source) else { throw LoadError("bind") }
        guard Sockets.connect(client, target.inSocketForm) else { throw LoadError("connect") }
        // The answer makes it an established flow.
        var byte: UInt8 = 0
        guard send(client, &byte, 1, Int32(MSG_NOSIGNAL)) == 1, packet_load_answer(server.datagrams) == 0,
            recv(client, &byte, 1, 0) == 1
        else { throw LoadError("begin the flow") }
        return measure { slice in
            let began = Self.now()
            let sent = packet_load_send(client, Self.datagramLength, Self.batch)
            guard sent > 0 else { return "\(LoadError("send"))" }
            var received: Int32 = 0
            while received < sent {
                let count = packet_load_receive(server.datagrams, UInt32(sent - received))
                guard count > 0 else { return "\(LoadError("receive at the server"))" }
                received += count
            }
            slice.count += Int(received)
            slice.latencies.add(Self.now() - began)
            return nil
        }
    }

    private func tcpStream(from source: sockaddr_in) throws -> Slice {
        let client = try Sockets.make(Sockets.stream)
        defer { close(client) }
        Sockets.set(client, SO_LINGER, linger(l_onoff: 1, l_linger: 0))
        Sockets.set(client, SO_SNDTIMEO, Sockets.patience)
        guard Sockets.bind(client, source) else { throw LoadError("bind") }
        guard Sockets.connect(client, target.inSocketForm) else { throw LoadError("connect") }
        let accepted = accept(server.listener, nil, nil)
        guard accepted >= 0 else { throw LoadError("accept") }
        defer { close(accepted) }
        Sockets.set(accepted, SO_RCVTIMEO, Sockets.patience)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        defer { buffer.deallocate() }
        return measure { slice in
            // The window may be full; then the server's reading opens it again.
            let sent = send(
                client, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            guard sent > 0 || errno == EAGAIN else { return "\(LoadError("send"))" }
            var received = 0
            while received < sent {
                let count = recv(accepted, buffer.baseAddress, buffer.count, 0)
                guard count > 0 else { return "\(LoadError("receive at the server"))" }
                received += count
            }
            slice.count += received
            return nil
        }
    }

    private func measure(_ step: (inout Slice) -> String?) -> Slice {
        var slice = Slice()
        slice.begun = 1
        var start = Self.now()
        let firstEnd = start + UInt64(warmUp * 1e9)
        while Self.now() < firstEnd, slice.failures < Self.mostFailures { note(step(&slice), &slice) }
        slice.count = 0
        slice.latencies = Latencies()
        start = Self.now()
        let end = start + UInt64(duration * 1e9)
        while Self.now() < end, slice.failures < Self.mostFailures { note(step(&slice), &slice) }
        slice.seconds = Double(Self.now() - start) / 1e9
        return slice
    }

    private func note(_ failure: String?, _ slice: inout Slice) {
        guard let failure else { return }
        slice.failures += 1
        slice.lastFailure = failure
    }
}
