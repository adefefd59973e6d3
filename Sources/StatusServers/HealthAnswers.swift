import HTTPServing
import IPAddressing

/// What was asked of the health server.
public enum HealthProbe: String, Sendable, CaseIterable {
    /// Whether load balancers may use this node: the proxy keeps up, and the node isn't about to go.
    case healthz
    /// Whether the proxy keeps up. A proxy of a node that is being drained is not to be restarted.
    case livez
    /// Whether the proxy keeps up and rules have been in force at all. kube-proxy has no such path.
    case readyz
}

/// The health server's answers, byte for byte those of kube-proxy v1.36 (`ProxyHealth` in its Go package
/// `healthcheck`).
enum HealthAnswers {
    static func probe(_ path: String) -> HealthProbe? {
        path.hasPrefix("/") ? HealthProbe(rawValue: String(path.dropFirst())) : nil
    }

    static func answer(_ probe: HealthProbe, _ report: ProxyHealthReport) -> HTTPAnswer {
        let isPassed =
            switch probe {
            case .healthz: report.isHealthy && report.isNodeEligible
            case .livez: report.isHealthy
            case .readyz: report.isHealthy && report.isInForce
            }
        return .json(
            body(report, saysEligible: probe == .healthz, isPassed: isPassed), status: isPassed ? 200 : 503)
    }

    private static func body(_ report: ProxyHealthReport, saysEligible: Bool, isPassed: Bool) -> String {
        // When all is well, `lastUpdated` is the time of the answer: so it was when kube-proxy updated every so often
        // whether there was a change or not, and clients have come to expect a recent time.
        let lastUpdated = isPassed ? report.currentTime : report.lastUpdated
        var fields = [
            #""lastUpdated":\#(time(lastUpdated))"#, #""currentTime":\#(time(report.currentTime))"#,
        ]
        if saysEligible { fields.append(#""nodeEligible":\#(report.isNodeEligible)"#) }
        fields.append(#""healthy":\#(report.isHealthy)"#)
        let families = AddressFamily.allCases.compactMap { family in
            report.families[family].map { one in
                let name = family.name
                return #""\#(name)":{"lastUpdated":\#(time(one.lastUpdated)),"healthy":\#(one.isHealthy)}"#
            }
        }
        if !families.isEmpty { fields.append(#""status":{\#(families.joined(separator: ","))}"#) }
        return "{" + fields.joined(separator: ",") + "}"
    }

    private static func time(_ nanoseconds: Int64?) -> String {
        "\"" + (nanoseconds.map(JSONTime.text) ?? JSONTime.never) + "\""
    }
}
