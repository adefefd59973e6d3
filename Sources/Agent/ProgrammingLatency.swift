import IPAddressing
import KubernetesAPI

/// Which endpoint changes are on their way into force, and since when (statement 27).
///
/// The control plane writes into each EndpointSlice when the change that it follows happened (annotation
/// `endpoints.kubernetes.io/last-change-trigger-time`). From there until the rules are in force is what kube-proxy's
/// `network_programming_duration_seconds` tells. A pure value; times are in nanoseconds since 1970.
struct ProgrammingLatency: Sendable {
    /// A change of one EndpointSlice.
    struct Trigger: Sendable, Hashable {
        var service: ObjectName
        var family: AddressFamily
        var time: Int64
    }

    /// Changes that were not planned yet, by slice.
    private var new: [ObjectName: Trigger] = [:]
    /// Changes that are planned and not in force, by slice.
    private var planned: [ObjectName: Trigger] = [:]
    private let start: Int64

    /// - Parameter start: changes before this are the past, which this process was not there to be quick about.
    init(start: Int64) { self.start = start }

    /// Takes the times of changed slices. Of several changes to one slice, the oldest is what its users wait for.
    ///
    /// - Parameter objects: the changes that the times belong to. One that removes a slice has no time: what its
    ///   annotation says is when it last changed before.
    mutating func add(
        _ times: [ClusterObject.Key: Int64], of objects: [ClusterObject.Key: ClusterObject?]
    ) {
        for (key, object) in objects where object == nil {
            guard case .endpointSlice(let name) = key else { continue }
            new[name] = nil
            planned[name] = nil
        }
        for (key, time) in times where time > start {
            guard case .endpointSlice(let slice)?? = objects[key] else { continue }
            let oldest = min(time, new[slice.name]?.time ?? time)
            new[slice.name] = Trigger(service: slice.service, family: slice.family, time: oldest)
        }
    }

    /// These Services were planned. A slice whose Service wasn't has changed in nothing that matters.
    mutating func plan(_ services: [ObjectName]) {
        guard !new.isEmpty else { return }
        let services = Set(services)
        for (slice, trigger) in new where services.contains(trigger.service) {
            var trigger = trigger
            trigger.time = min(trigger.time, planned[slice]?.time ?? trigger.time)
            planned[slice] = trigger
        }
        new = [:]
    }

    /// All that was planned is in force.
    mutating func inForce() -> [Trigger] {
        defer { planned = [:] }
        return Array(planned.values)
    }
}
