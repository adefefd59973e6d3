import Agent
import ClusterGenerator
import KubernetesAPI
import NFTablesKernel
import ServiceModel
import TestNetwork

/// What happens to a node that is programmed.
enum Change: String, CaseIterable, Codable {
    case endpointReplaced = "endpoint replaced"
    case endpointAdded = "endpoint added"
    case endpointRemoved = "endpoint removed"
    case serviceAdded = "Service added"
    case serviceRemoved = "Service removed"
    case rollingStep = "rolling update of 100 pods, a step"
    case restart = "restart, nothing changed"

    /// The most netlink messages that it may take, those that begin and end the batch among them.
    var messageLimit: Int? {
        switch self {
        case .endpointReplaced: 6
        case .serviceAdded: 12
        case .restart: 0
        default: nil
        }
    }

    /// Whether it must leave all rules alone.
    var sparesRules: Bool { self == .endpointReplaced || self == .restart }
}

/// One change, from its objects to the rules in force.
struct ChangeSample {
    var seconds: Double
    /// Of it the transaction: encoding and the kernel's work.
    var commit: Double
    /// CPU time of this process: its own, and the kernel's for it; seconds.
    var user: Double
    var system: Double
    var messages: Int
    var bytes: Int
    var ruleOperations: Int
}

/// A node with the whole cluster in force, to be changed.
final class ProgrammedNode {
    private let cluster: GeneratedCluster
    private let kernel: MeasuredKernel
    private var planner: Planner
    private var writer: RulesetWriter<MeasuredKernel>

    private typealias Changes = [ClusterObject.Key: ClusterObject?]

    init(_ cluster: GeneratedCluster, in namespace: Namespace) throws {
        self.cluster = cluster
        kernel = try MeasuredKernel(in: namespace)
        planner = Planner(settings: ProxySettings(nodeName: GeneratedCluster.nodeName(0)))
        writer = RulesetWriter(
            settings: ProxySettings(nodeName: GeneratedCluster.nodeName(0)), kernel: kernel)
        planner.apply(cluster.objects)
        _ = try writer.write(planner.step().plans, environment: planner.environment)
    }

    /// Makes the change so often, each time to another Service while there are others.
    func samples(of change: Change, count: Int, _ isAt: (Int) -> Void) throws -> [ChangeSample] {
        if change == .rollingStep { return try rollingUpdate(isAt) }
        return try (0..<count).map { index in
            isAt(index)
            // Every change is undone, or undoes one that was made for it, so the cluster stays as large as it is.
            switch change {
            case .restart, .rollingStep: return try restart()
            case .endpointReplaced: return try apply(replacement(index), thenUndo: original(index))
            case .endpointAdded: return try apply(addition(index), thenUndo: original(index))
            case .endpointRemoved:
                _ = try apply(addition(index))
                return try apply(original(index))
            case .serviceAdded: return try apply(newService(index), thenUndo: without(newService(index)))
            case .serviceRemoved:
                _ = try apply(newService(index))
                return try apply(without(newService(index)))
            }
        }
    }

    private func apply(_ changes: Changes, thenUndo undoing: Changes) throws -> ChangeSample {
        let sample = try apply(changes)
        _ = try apply(undoing)
        return sample
    }

    private func apply(_ changes: Changes) throws -> ChangeSample {
        try measure { $0.apply(changes) }
    }

    /// A new agent over the table that stands.
    private func restart() throws -> ChangeSample {
        let objects = cluster.objects
        planner = Planner(settings: ProxySettings(nodeName: GeneratedCluster.nodeName(0)))
        writer = RulesetWriter(
            settings: ProxySettings(nodeName: GeneratedCluster.nodeName(0)), kernel: kernel)
        return try measure { $0.apply(objects) }
    }

    private func measure(_ change: (inout Planner) -> Void) throws -> ChangeSample {
        kernel.reset()
        let watch = Stopwatch()
        let usage = ProcessUsage()
        change(&planner)
        let report = try writer.write(planner.step().plans, environment: planner.environment)
        let (seconds, spent) = (watch.seconds, usage.spent)
        return ChangeSample(
            seconds: seconds, commit: kernel.commits.wall, user: spent.user, system: spent.system,
            messages: report.messages,
            bytes: report.bytes,
            ruleOperations: kernel.ruleOperations)
    }

    // MARK: Changes

    /// A Service without affinity, far from the one before: their objects have nothing in common.
    private func service(_ index: Int) -> Int {
        let service = index * 97 % cluster.serviceCount
        return cluster.hasAffinity(service) ? service - 1 : service
    }

    private func firstSlice(_ service: Int) -> [EndpointSlice.Endpoint] {
        cluster.slices(service).first?.endpoints ?? []
    }

    private func change(_ slice: EndpointSlice) -> Changes {
        [.endpointSlice(slice.name): .endpointSlice(slice)]
    }

    private func replacement(_ index: Int) -> Changes {
        let service = service(index)
        var endpoints = firstSlice(service)
        let position = index % endpoints.count
        endpoints[position] = cluster.endpoint(service, position, generation: index + 1)
        return change(cluster.slice(service, endpoints: endpoints))
    }

    private func addition(_ index: Int) -> Changes {
        let service = service(index)
        let new = cluster.endpoint(service, cluster.endpointsPerService, generation: 1)
        return change(cluster.slice(service, endpoints: firstSlice(service) + [new]))
    }

    private func original(_ index: Int) -> Changes {
        let service = service(index)
        return change(cluster.slice(service, endpoints: firstSlice(service)))
    }

    private func newService(_ index: Int) -> Changes {
        let number = cluster.serviceCount + index
        let service = cluster.service(number)
        var result: Changes = [.service(service.name): .service(service)]
        for slice in cluster.slices(number) { result[.endpointSlice(slice.name)] = .endpointSlice(slice) }
        return result
    }

    /// How many pods a rolling update replaces.
    static let rolledPods = 100

    /// Deployments of 100 pods in all get new ones, one pod after the other and each in three steps, as their slices
    /// tell: the new one is ready, the old one ends, the old one is gone. Then all is put back.
    private func rollingUpdate(_ isAt: (Int) -> Void) throws -> [ChangeSample] {
        var samples: [ChangeSample] = []
        var index = 0
        while samples.count < 3 * Self.rolledPods {
            let service = service(index)
            var endpoints = firstSlice(service)
            for position in endpoints.indices where samples.count < 3 * Self.rolledPods {
                isAt(samples.count / 3)
                let old = endpoints[position]
                endpoints.append(cluster.newcomer(samples.count))
                samples.append(try apply(change(cluster.slice(service, endpoints: endpoints))))
                endpoints[position].isReady = false
                endpoints[position].isTerminating = true
                samples.append(try apply(change(cluster.slice(service, endpoints: endpoints))))
                // The new one takes its place in the list, where the next ones are still to come.
                endpoints[position] = endpoints.removeLast()
                precondition(endpoints[position] != old)
                samples.append(try apply(change(cluster.slice(service, endpoints: endpoints))))
            }
            _ = try apply(original(index))
            index += 1
        }
        return samples
    }

    private func without(_ changes: Changes) -> Changes { changes.mapValues { _ in ClusterObject?.none } }
}
