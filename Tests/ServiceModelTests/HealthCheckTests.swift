import IPAddressing
import KubernetesAPI
import ServiceModel
import Testing

@Suite("What load balancers are told")
struct HealthCheckTests {
    private static func balanced(_ change: (inout Service) -> Void = { _ in }) -> Service {
        var result = service("web", "10.96.0.1", "fd00::1")
        (result.kind, result.externalTrafficPolicy, result.healthCheckNodePort) = (
            .loadBalancer, .local, 32_000
        )
        change(&result)
        return result
    }

    private static func plan(_ service: Service, _ slices: [EndpointSlice] = []) -> ServicePlan? {
        ClusterState([service], slices).plan(for: name("web")).plan
    }

    @Test("statement 23: a pod of this node counts once, whatever addresses and ports it has")
    func dualStack() {
        let slices = [
            slice(
                "v4", of: "web", endpoint("10.244.0.1", on: "node"), endpoint("10.244.0.2", on: "node"),
                endpoint("10.244.1.1")),
            slice(
                "v6", of: "web", family: .ipv6, endpoint("fd00:244::1", on: "node"), endpoint("fd00:244::2")),
        ]
        let plan = Self.plan(Self.balanced(), slices)
        #expect(plan?.healthCheckPort == 32_000)
        #expect(plan?.localEndpoints == 2)
        let ports = [
            Service.Port(name: "a", port: 80), Service.Port(name: "b", port: 81),
        ]
        let both = slices.map { slice in
            var slice = slice
            slice.ports = [.init(name: "a", port: 8080), .init(name: "b", port: 8081)]
            return slice
        }
        #expect(Self.plan(Self.balanced { $0.ports = ports }, both)?.localEndpoints == 2)
    }

    @Test("statement 23: only endpoints of this node that are ready count")
    func ready() {
        let slices = [
            slice(
                "v4", of: "web", endpoint("10.244.0.1", ready: false, on: "node"),
                endpoint("10.244.0.2", ready: false, terminating: true, on: "node"),
                endpoint("10.244.0.3", on: nil), endpoint("10.244.1.1"))
        ]
        #expect(Self.plan(Self.balanced(), slices)?.localEndpoints == 0)
    }

    @Test("statement 23: only load balancers with Local policy have a health check port")
    func others() {
        #expect(Self.plan(Self.balanced { $0.externalTrafficPolicy = .cluster })?.healthCheckPort == nil)
        #expect(Self.plan(Self.balanced { $0.kind = .nodePort })?.healthCheckPort == nil)
        #expect(Self.plan(Self.balanced { $0.healthCheckNodePort = nil })?.healthCheckPort == nil)
    }
}
