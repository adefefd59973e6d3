import HealthChecks
import KubernetesAPI
import ServiceModel

/// What load balancers ask this node about each Service with Local policy (statement 23).
struct ServedChecks: Sendable {
    private(set) var all: [ObjectName: HealthCheckServers.Check] = [:]

    /// - Returns: whether anything is another now.
    mutating func update(_ plans: [(name: ObjectName, plan: ServicePlan?)]) -> Bool {
        let before = all
        for (name, plan) in plans {
            all[name] = plan.flatMap { plan in
                plan.healthCheckPort.map { .init(port: $0, localEndpoints: plan.localEndpoints) }
            }
        }
        return all != before
    }
}
