public import IPAddressing
public import KubernetesAPI
internal import NIOCore
internal import NIOPosix

/// The HTTP servers on the `spec.healthCheckNodePort` of Services of type LoadBalancer with
/// `externalTrafficPolicy: Local`: they tell a load balancer whether this node has endpoints of its own.
///
/// Any path, GET or HEAD: 200 when there is a local endpoint and the proxy is healthy, else 503; a JSON
/// body that says which, and the header `X-Load-Balancing-Endpoint-Weight` with the number of endpoints.
public actor HealthCheckServers {
    /// One Service's port and what is to be told there.
    public struct Check: Sendable, Equatable {
        /// `spec.healthCheckNodePort`.
        public var port: UInt16
        /// The Service's endpoints on this node that get its external traffic.
        public var localEndpoints: Int

        public init(port: UInt16, localEndpoints: Int) {
            self.port = port
            self.localEndpoints = max(0, localEndpoints)
        }
    }

    /// What one port grants its clients.
    public struct Limits: Sendable, Equatable {
        /// Connections at once; further ones are closed as they come.
        public var connections: Int
        /// How long a client may take for a whole request, and for taking the answer.
        public var patience: Duration

        public init(connections: Int = 256, patience: Duration = .seconds(10)) {
            self.connections = connections
            self.patience = patience
        }
    }

    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let proxy: ProxyHealth
    private let limits: Limits
    private var servers: [UInt16: PortServer] = [:]
    private var isShutDown = false
    /// Whether the last update left an address unbound: another one may be more lucky, though nothing has changed.
    public private(set) var hasUnboundAddresses = false
    /// The update that runs, or is last in line. Binding and closing take time, and an actor doesn't wait.
    private var last: Task<[ObjectProblem], Never>?

    /// Nothing is bound before the first `update`. To be ended by `shutDown`.
    ///
    /// - Parameter isProxyHealthy: what holds until `setProxyHealthy`; true at the start, as in kube-proxy.
    public init(isProxyHealthy: Bool = true, limits: Limits = Limits()) {
        proxy = ProxyHealth(isProxyHealthy)
        self.limits = limits
    }

    /// Makes `checks` the whole truth: binds new ports, closes those gone, tells new numbers on those that stay,
    /// whose connections live on. A port that couldn't be bound is tried again each time.
    ///
    /// Where several Services have the same port, the one that has it already keeps it, else the first by name
    /// gets it.
    ///
    /// - Parameters:
    ///   - checks: by Service.
    ///   - addresses: the host's addresses to listen on; nil: all, of both families, also those that come.
    /// - Returns: what isn't served, by Service; the whole list each time.
    public func update(
        _ checks: [ObjectName: Check], on addresses: [IPAddress]? = nil
    ) async -> [ObjectProblem] {
        let before = last
        let task = Task {
            _ = await before?.value
            return await self.apply(checks, on: addresses ?? Self.allAddresses)
        }
        last = task
        return await task.value
    }

    /// From now on, this is told of the proxy on all ports.
    public func setProxyHealthy(_ isHealthy: Bool) { proxy.isHealthy = isHealthy }

    /// Closes all ports and connections; later updates do nothing.
    public func shutDown() async {
        guard !isShutDown else { return }
        isShutDown = true
        _ = await last?.value
        for port in servers.keys.sorted() {
            guard var server = servers.removeValue(forKey: port) else { continue }
            await server.close()
        }
        // It fails only when it was shut down before.
        try? await group.shutdownGracefully()
    }

    private static let allAddresses = [IPAddress(ipv4: 0), PortServer.allIPv6]

    private func apply(
        _ checks: [ObjectName: Check], on addresses: [IPAddress]
    ) async -> [ObjectProblem] {
        guard !isShutDown else { return [] }
        hasUnboundAddresses = false
        let (owners, shared) = assign(checks)
        var problems = shared
        // Closing goes first: an address that is let go may be part of one that is to be bound.
        for port in servers.keys.sorted() {
            guard var server = servers.removeValue(forKey: port) else { continue }
            if owners[port] == nil {
                await server.close()
            } else {
                await server.closeListeners(except: addresses)
                servers[port] = server
            }
        }
        for (port, content) in owners.sorted(by: { $0.key < $1.key }) {
            var server =
                servers[port]
                ?? PortServer(
                    port: port, service: CheckedService(content, proxy: proxy), limits: limits, group: group)
            server.service.current = content
            for failure in await server.openListeners(on: addresses) {
                hasUnboundAddresses = true
                problems.append(
                    Self.problem(
                        content.service,
                        "no health check server on \(failure.address): \(failure.reason); load balancers "
                            + "that ask there will not send traffic to this node"))
            }
            servers[port] = server
        }
        return problems.sorted { $0.description < $1.description }
    }

    /// Which Service gets which port, and the problems of those that get none.
    private func assign(
        _ checks: [ObjectName: Check]
    ) -> (owners: [UInt16: CheckedService.Content], problems: [ObjectProblem]) {
        var owners: [UInt16: CheckedService.Content] = [:]
        var problems: [ObjectProblem] = []
        for (port, server) in servers {
            let service = server.service.current.service
            guard let check = checks[service], check.port == port else { continue }
            owners[port] = .init(service: service, localEndpoints: check.localEndpoints)
        }
        for (service, check) in checks.sorted(by: { $0.key < $1.key }) {
            if check.port == 0 {
                problems.append(Self.problem(service, "0 is not a port; there is no health check server"))
            } else if let owner = owners[check.port] {
                guard owner.service != service else { continue }
                problems.append(
                    Self.problem(
                        service,
                        "port \(check.port) belongs to Service \(owner.service) already; "
                            + "there is no health check server for this one"))
            } else {
                owners[check.port] = .init(service: service, localEndpoints: check.localEndpoints)
            }
        }
        return (owners, problems)
    }

    private static func problem(_ service: ObjectName, _ message: String) -> ObjectProblem {
        ObjectProblem(object: "Service \(service)", field: "spec.healthCheckNodePort", message: message)
    }
}
