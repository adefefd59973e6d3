public import HostNetwork
import IPAddressing
public import KubernetesAPI
public import Ruleset
public import ServiceModel

/// The cluster's state with the plans that follow from it: what a dry run and the loop both begin with.
public struct Planner: Sendable {
    private var state: ClusterState
    private var problems = ProblemRegister()

    /// The plans of the Services that changes touched, and what was found on the way.
    public struct Step: Sendable {
        public var plans: [(name: ObjectName, plan: ServicePlan?)] = []
        public var newProblems: [ObjectProblem] = []
        public var pastProblems: [ObjectProblem] = []
    }

    /// The host's own addresses; nil when they aren't known.
    public var hostAddresses: [HostAddress]?
    private let settings: ProxySettings

    public init(settings: ProxySettings) {
        self.settings = settings
        state = ClusterState(
            nodeName: settings.nodeName, servesExternalIPs: settings.servesExternalIPs)
    }

    /// What the rules depend on beside Services.
    public var environment: NodeEnvironment {
        NodeEnvironment(
            serviceNetworks: state.serviceNetworks,
            localPods: settings.localPods(nodeCIDRs: state.node?.podCIDRs ?? []),
            nodePortAddresses: nodePortAddresses)
    }

    private var nodePortAddresses: [IPAddress] {
        settings.nodePortAddresses.select(nodeAddresses: nodeAddresses, host: hostAddresses)
    }

    private var nodeAddresses: [IPAddress] { settings.nodeAddresses(state.node?.addresses ?? []) }

    public var serviceCount: Int { state.serviceCount }
    public var endpointCount: Int { state.endpointCount }
    /// Problems that stand.
    var problemCount: Int { problems.count }
    /// This node; nil when no source has told of it.
    var node: Node? { state.node }

    public mutating func apply(_ objects: [ClusterObject.Key: ClusterObject?]) {
        for (key, object) in objects {
            if let object { state.upsert(object) } else { state.remove(key) }
        }
    }

    public mutating func apply(_ objects: [ClusterObject]) {
        for object in objects { state.upsert(object) }
    }

    /// Plans what the changes since the last call touched.
    public mutating func step() -> Step {
        var step = Step()
        state.change(nodeAddresses: nodeAddresses)
        state.change(nodePortAddresses: nodePortAddresses)
        for name in state.takeDirty().sorted() {
            let (plan, found) = state.plan(for: name)
            step.plans.append((name, plan))
            let (new, over) = problems.update(name, found)
            step.newProblems += new
            step.pastProblems += over
        }
        return step
    }
}
