import Agent
import Conntrack
import Glibc
import HostFiles
import HostNetwork
import IPAddressing
import NFTablesKernel
public import NodeChecks

/// Finds out what a node is like, and leaves it as it is.
///
/// What rules need is tried elsewhere (`FeatureTrial`). The kernel may load modules for that, and for what it is asked,
/// as it does for `sluice run`.
public enum NodeInspection {
    /// What this node and this process' rights are like, as of now.
    public static func facts() -> NodeFacts {
        let rights = ProcessRights.effective()
        let (connection, rules) = readRules()
        return NodeFacts(
            release: .running, rights: rights, rules: rules,
            trials: trials(connection, rights, rules), conntrack: conntrack(rights),
            network: NetworkFacts.read(), legacyNAT: legacyNAT(),
            kubeProxy: KubeProxyPresence(
                processes: HostFiles.processes(named: "kube-proxy"), rules: rules,
                links: HostFiles.links()))
    }

    private static func readRules() -> (Connection?, NodeFacts.Rules) {
        do throws(PreflightError) {
            // How old the kernel is, is a check of its own.
            let connection = try Preflight.connect(release: .oldest)
            do throws(KernelError) {
                return (
                    connection,
                    .listed(try connection.listedTables(), try connection.listedChains())
                )
            } catch {
                return (nil, .unknown("\(error)"))
            }
        } catch {
            return (nil, .unknown("\(error)"))
        }
    }

    private static func trials(
        _ connection: Connection?, _ rights: NodeFacts.Rights, _ rules: NodeFacts.Rules
    ) -> FeatureTrials {
        guard let connection else {
            return FeatureTrials(
                .none(why: rights.netAdmin ? "nf_tables doesn't answer" : "it takes CAP_NET_ADMIN"))
        }
        return FeatureTrial.run(onNode: connection)
    }

    private static func conntrack(_ rights: NodeFacts.Rights) -> ConntrackFacts {
        let prefix = "/proc/sys/net/netfilter/nf_conntrack_"
        // Asking brings in the modules that answer, and with them the parameters.
        let answer = conntrackAnswer(rights)
        let parameters = ConntrackSettings().parameters(cores: KernelParameterWriter.onlineCores).map(\.path)
        return ConntrackFacts(
            answer: answer, count: HostFiles.number(prefix + "count"),
            limit: HostFiles.number(prefix + "max"),
            lockedParameters: parameters.filter { access($0, F_OK) == 0 && access($0, W_OK) != 0 }
                .map(HostFiles.parameterName))
    }

    private static func conntrackAnswer(_ rights: NodeFacts.Rights) -> ConntrackFacts.Answer {
        guard rights.netAdmin else { return .notAsked }
        do {
            // What is seldom there: only the question counts.
            try ConntrackConnection().dump(.ipv4, protocol: .sctp) { _ in }
            return .given
        } catch {
            return .refused("\(error)")
        }
    }

    /// Not there before the old iptables' modules are, which is as good as empty.
    private static func legacyNAT() -> [AddressFamily]? {
        var families: [AddressFamily] = []
        for (family, file) in [(AddressFamily.ipv4, "ip_tables_names"), (.ipv6, "ip6_tables_names")] {
            let path = "/proc/net/\(file)"
            if let text = HostFiles.text(path) {
                if text.split(separator: "\n").contains("nat") { families.append(family) }
            } else if errno != ENOENT {
                return nil
            }
        }
        return families
    }
}

/// What this thread may do.
enum ProcessRights {
    /// CAP_NET_ADMIN and CAP_SYS_ADMIN (linux/capability.h).
    private static let (netAdmin, sysAdmin): (UInt64, UInt64) = (1 << 12, 1 << 21)

    /// From `CapEff` of /proc/thread-self/status.
    static func effective() -> NodeFacts.Rights {
        let lines = HostFiles.text("/proc/thread-self/status")?.split(separator: "\n") ?? []
        let digits = lines.first { $0.hasPrefix("CapEff:") }?.split(separator: "\t").last
        let bits = digits.flatMap { UInt64($0, radix: 16) } ?? 0
        return NodeFacts.Rights(netAdmin: bits & netAdmin != 0, sysAdmin: bits & sysAdmin != 0)
    }
}

extension NetworkFacts {
    /// As they are in this network namespace.
    fileprivate static func read() -> NetworkFacts {
        func flags(_ paths: [(AddressFamily, String)]) -> [AddressFamily: Bool] {
            var result: [AddressFamily: Bool] = [:]
            for (family, path) in paths {
                result[family] = HostFiles.number("/proc/sys/net/\(path)").map { $0 != 0 }
            }
            return result
        }
        let addresses = (try? HostAddresses.read()) ?? []
        return NetworkFacts(
            forwarding: flags([(.ipv4, "ipv4/ip_forward"), (.ipv6, "ipv6/conf/all/forwarding")]),
            addressed: Set(addresses.filter { $0.scope == .global }.map(\.address.family)),
            bridgeFilter: flags([
                (.ipv4, "bridge/bridge-nf-call-iptables"), (.ipv6, "bridge/bridge-nf-call-ip6tables"),
            ]),
            strictInterfaces: strictInterfaces())
    }

    /// The larger of an interface's own value and that of `all` counts.
    private static func strictInterfaces() -> [String] {
        let folder = "/proc/sys/net/ipv4/conf"
        let forAll = HostFiles.number("\(folder)/all/rp_filter") ?? 0
        return HostFiles.entries(folder).filter { name in
            guard !["all", "default", "lo"].contains(name),
                let own = HostFiles.number("\(folder)/\(name)/rp_filter")
            else { return false }
            return max(own, forAll) == 1
        }.sorted()
    }
}
