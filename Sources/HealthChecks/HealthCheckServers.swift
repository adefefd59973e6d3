public import HTTPServing
public import IPAddressing
public import KubernetesAPI

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
    public typealias Limits = HTTPLimits

    /// One port and what it is for.
    private struct Server {
        let service: CheckedService
        var port: HTTPPort
    }

    private let thread = HTTPThread()
    private let isProxyHealthy: @Sendable () -> Bool
    private let limits: Limits
    private var servers: [UInt16: Server] = [:]
    private var isShutDown = false
    /// Whether the last update left an address unbound: another one may be more lucky, though nothing has changed.
    public private(set) var hasUnboundAddresses = false
    /// The update that runs, or is last in line. Binding and closing take time, and an actor doesn't wait.
    private var last: Task<[ObjectProblem], Never>?

    /// Nothing is bound before the first `update`. To be ended by `shutDown`.
    ///
    /// - Parameter isProxyHealthy: whether the proxy keeps up with its rules. Asked for each answer, on the servers'
    ///   thread: a proxy becomes unhealthy by nothing happening.
    public init(
        limits: Limits = Limits(), isProxyHealthy: @escaping @Sendable () -> Bool = { true }
    ) {
        self.isProxyHealthy = isProxyHealthy
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
            return await self.apply(checks, on: addresses ?? HTTPPort.allAddresses)
        }
        last = task
        return await task.value
    }

    /// Closes all ports and connections; later updates do nothing.
    public func shutDown() async {
        guard !isShutDown else { return }
        isShutDown = true
        _ = await last?.value
        for port in servers.keys.sorted() {
            guard var server = servers.removeValue(forKey: port) else { continue }
            await server.port.close()
        }
        await thread.shutDown()
    }

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
                await server.port.close()
            } else {
                await server.port.closeListeners(except: addresses)
                servers[port] = server
            }
        }
        for (port, content) in owners.sorted(by: { $0.key < $1.key }) {
            var server = servers[port] ?? makeServer(port, content)
            server.service.current = content
            for failure in await server.port.openListeners(on: addresses) {
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

    private func makeServer(_ port: UInt16, _ content: CheckedService.Content) -> Server {
        let service = CheckedService(content, isProxyHealthy: isProxyHealthy)
        return Server(
            service: service,
            port: HTTPPort(port: port, limits: limits, on: thread) { _ in service.answer })
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
        ObjectProblem(
            subject: .object(.service(service)), field: "spec.healthCheckNodePort", message: message)
    }
}
