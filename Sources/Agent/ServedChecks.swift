import HealthChecks
import KubernetesAPI
import ServiceModel

/// What load balancers ask this node about each Service with Local policy (statement 23).
///
/// They had better hear early that endpoints go, and late that endpoints come: what is told is never more than what is
/// in force.
struct ServedChecks: Sendable {
    typealias Checks = [ObjectName: HealthCheckServers.Check]

    /// What was told last.
    private(set) var told: Checks = [:]
    private var wanted: Checks = [:]

    /// Takes plans that are about to be put in force.
    ///
    /// - Returns: what can be told before they are; nil when that was told already.
    mutating func update(_ plans: [(name: ObjectName, plan: ServicePlan?)]) -> Checks? {
        for (name, plan) in plans {
            wanted[name] = plan.flatMap { plan in
                plan.healthCheckPort.map { .init(port: $0, localEndpoints: plan.localEndpoints) }
            }
        }
        return tell(
            told.reduce(into: [:]) { result, check in
                guard let new = wanted[check.key], new.port == check.value.port else { return }
                result[check.key] = .init(
                    port: new.port, localEndpoints: min(new.localEndpoints, check.value.localEndpoints))
            })
    }

    /// All that `update` took is in force.
    ///
    /// - Returns: what can be told now; nil when that was told already.
    mutating func inForce() -> Checks? { tell(wanted) }

    private mutating func tell(_ checks: Checks) -> Checks? {
        guard checks != told else { return nil }
        told = checks
        return checks
    }
}
