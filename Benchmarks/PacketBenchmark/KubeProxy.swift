import ClusterGenerator
import Foundation
import Glibc
import IPAddressing
import TemporaryFiles
import TestAPIServer
import TestNetwork

/// A real kube-proxy, which programs a node from an API server and is then ended: its rules stay, and it takes no time
/// from what is measured.
struct KubeProxy {
    let program: String
    let mode: String
    let cluster: MeasuredCluster
    /// Seconds until it has to be done.
    let limit: Int

    func program(_ arena: Arena) throws {
        let folder = try TemporaryDirectory()
        let generated = cluster.generated
        let server = try arena.node.start(
            [
                "/proc/self/exe", "serve", "--folder", folder.path,
                "--services", "\(generated.serviceCount)", "--endpoints", "\(generated.endpointsPerService)",
                "--seconds", "\(limit + 60)",
            ])
        try wait("the API server listens") { try server.standardOutput.contains("\n") }
        guard server.isRunning else {
            throw RuleLoadingError(description: "the API server: \(try server.standardError)")
        }
        let proxy = try arena.node.start(
            [
                program, "--kubeconfig", folder["kubeconfig"], "--proxy-mode", mode,
                "--hostname-override", GeneratedCluster.nodeName(0),
                "--cluster-cidr", MeasuredCluster.clusterCIDR,
                // The machine's own limits stay as they are.
                "--conntrack-max-per-core", "0", "--conntrack-min", "0",
            ])
        defer {
            // kube-proxy's rules stay when it ends.
            proxy.send(SIGTERM)
            _ = proxy.wait()
        }
        try wait("all measured Services are served") {
            guard proxy.isRunning else {
                let lines = try proxy.standardError.split(separator: "\n").suffix(3)
                throw RuleLoadingError(
                    description: "\(program) ended: \(lines.joined(separator: " | "))")
            }
            return try isServed(arena)
        }
    }

    private func isServed(_ arena: Arena) throws -> Bool {
        for position in Position.allCases {
            for traffic in [Traffic.tcpConnections, .udpExchanges] {
                let target = cluster.port(traffic.transport, at: position).address
                let slice = try arena.node.run {
                    try arena.enter()
                    return arena.measure(traffic, to: target, seconds: 0.001, warmUp: 0)
                }
                guard slice.failures == 0 else { return false }
            }
        }
        return true
    }

    private func wait(_ what: String, _ isSo: () throws -> Bool) throws {
        let deadline = ContinuousClock.now + .seconds(limit)
        while try !isSo() {
            guard ContinuousClock.now < deadline else {
                throw RuleLoadingError(description: "after \(limit) s it is still not so that \(what)")
            }
            usleep(50_000)
        }
    }
}
