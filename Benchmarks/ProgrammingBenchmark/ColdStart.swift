import Agent
import ClusterGenerator
import Glibc
import KubernetesAPI
import TestNetwork

/// From parsed objects to rules in force, in an empty namespace; seconds.
struct ColdStart {
    /// Objects into the cluster's state and into plans.
    var plan = 0.0
    /// Plans into the ruleset and into operations.
    var compile = 0.0
    /// Operations into messages, and the kernel's work on them.
    var commit = MeasuredKernel.Usage()
    var total = 0.0
    var messages = 0
    var bytes = 0

    /// - Parameter messages: a file that the messages of the transaction are written to, for `Floor`.
    static func measure(_ cluster: GeneratedCluster, messages: String? = nil) throws -> ColdStart {
        let objects = cluster.objects
        let namespace = try Namespace("cold")
        let kernel = try MeasuredKernel(in: namespace, keepsTransaction: messages != nil)
        var result = ColdStart()
        let watch = Stopwatch()
        var planner = Planner(settings: ProxySettings(nodeName: GeneratedCluster.nodeName(0)))
        planner.apply(objects)
        let step = planner.step()
        result.plan = watch.seconds
        let writer = RulesetWriter(
            settings: ProxySettings(nodeName: GeneratedCluster.nodeName(0)), kernel: kernel)
        let report = try writer.write(step.plans, environment: planner.environment)
        result.total = watch.seconds
        result.commit = kernel.commits
        result.compile = result.total - result.plan - kernel.commits.wall
        result.messages = report.messages
        result.bytes = report.bytes
        if let messages { try Floor.write(kernel.transaction, to: messages) }
        return result
    }
}
