/// How connection tracking is to be set (`conntrack` of the kube-proxy configuration), with kube-proxy's
/// defaults.
public struct ConntrackSettings: Sendable, Equatable {
    /// `maxPerCore`: tracked connections per core; 0 or less leaves the limit alone.
    public var maxPerCore: Int
    /// `min`: the least limit, whatever the number of cores.
    public var min: Int
    /// `tcpEstablishedTimeout`; nil, 0 or less leaves it alone. So with the other timeouts.
    public var tcpEstablishedTimeout: Duration?
    /// `tcpCloseWaitTimeout`: of connections whose client has closed and whose server hasn't.
    public var tcpCloseWaitTimeout: Duration?
    /// `tcpBeLiberal`: packets outside the TCP window aren't invalid; false leaves it alone.
    public var tcpBeLiberal: Bool
    /// `udpTimeout`: of flows without an answer.
    public var udpTimeout: Duration?
    /// `udpStreamTimeout`: of flows that were answered.
    public var udpStreamTimeout: Duration?

    public init(
        maxPerCore: Int = 32_768, min: Int = 131_072, tcpEstablishedTimeout: Duration? = .seconds(86_400),
        tcpCloseWaitTimeout: Duration? = .seconds(3_600), tcpBeLiberal: Bool = false,
        udpTimeout: Duration? = nil, udpStreamTimeout: Duration? = nil
    ) {
        self.maxPerCore = maxPerCore
        self.min = min
        self.tcpEstablishedTimeout = tcpEstablishedTimeout
        self.tcpCloseWaitTimeout = tcpCloseWaitTimeout
        self.tcpBeLiberal = tcpBeLiberal
        self.udpTimeout = udpTimeout
        self.udpStreamTimeout = udpStreamTimeout
    }

    /// What to write, in order (kernel: Documentation/networking/nf_conntrack-sysctl.rst).
    ///
    /// As kube-proxy does, the limit is set to the computed value even where it was higher, so that the
    /// configuration is what counts; the hash table only grows, to one bucket for four connections.
    ///
    /// - Parameter cores: of the whole machine (`KernelParameterWriter.onlineCores`), whatever this process
    ///   may use of it.
    public func parameters(cores: Int) -> [KernelParameter] {
        var result: [KernelParameter] = []
        if let limit = limit(cores: cores) {
            result.append(.init(path: Self.path("max"), value: limit))
            result.append(
                .init(
                    path: "/sys/module/nf_conntrack/parameters/hashsize", value: limit / 4, isMinimum: true))
        }
        func add(_ name: String, _ timeout: Duration?) {
            guard let timeout, timeout > .zero else { return }
            // Part of a second counts as one: a timeout of 0 would forget connections as they come.
            let (seconds, fraction) = timeout.components
            let whole = Int(clamping: Swift.min(fraction > 0 ? seconds &+ 1 : seconds, Self.largest))
            result.append(.init(path: Self.path(name), value: whole))
        }
        add("tcp_timeout_established", tcpEstablishedTimeout)
        add("tcp_timeout_close_wait", tcpCloseWaitTimeout)
        if tcpBeLiberal { result.append(.init(path: Self.path("tcp_be_liberal"), value: 1)) }
        add("udp_timeout", udpTimeout)
        add("udp_timeout_stream", udpStreamTimeout)
        return result
    }

    private func limit(cores: Int) -> Int? {
        guard maxPerCore > 0, cores > 0 else { return nil }
        let (scaled, overflow) = maxPerCore.multipliedReportingOverflow(by: cores)
        return Swift.min(overflow ? .max : Swift.max(scaled, min), Int(Self.largest))
    }

    /// The kernel reads these as an `int`.
    private static let largest = Int64(Int32.max)

    private static func path(_ name: String) -> String { "/proc/sys/net/netfilter/nf_conntrack_\(name)" }
}
