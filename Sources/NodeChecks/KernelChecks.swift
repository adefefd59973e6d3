import Agent
import NFTables

extension NodeFacts {
    /// Whether nf_tables answers.
    var isReachable: Bool {
        if case .listed = rules { true } else { false }
    }

    /// What must be there before anything can be tried.
    var kernelChecks: [Check] { [releaseCheck, rightsCheck, reachabilityCheck] }

    private var releaseCheck: Check {
        let brought: [(release: KernelRelease, what: String, use: String)] = Feature.allCases.compactMap {
            feature in
            guard let since = feature.since, let use = feature.use else { return nil }
            return (since, "\(feature.name) (\(since))", use)
        }
        guard release >= .oldest else {
            return .failure(
                "kernel", "Linux \(release), older than \(KernelRelease.oldest)",
                advice: "Boot Linux \(KernelRelease.oldest) or later.")
        }
        let lacking = brought.filter { release < $0.release }
        guard !lacking.isEmpty else {
            return .ok(
                "kernel", "Linux \(release), with \(brought.map(\.what).joined(separator: " and "))")
        }
        return .note(
            "kernel", "Linux \(release), without \(lacking.map(\.what).joined(separator: " and "))",
            advice: "Sluice works without; from "
                + lacking.map { "\($0.release) on \($0.use)" }.joined(separator: ", from ") + ".")
    }

    private var rightsCheck: Check {
        rights.netAdmin
            ? .ok("CAP_NET_ADMIN", "effective")
            : .failure(
                "CAP_NET_ADMIN", "not effective",
                advice: "Run as root, or give the container or unit CAP_NET_ADMIN.")
    }

    private var reachabilityCheck: Check {
        switch rules {
        case .listed(let tables, _):
            return .ok("nf_tables", "answers; \(tables.count) table\(tables.count == 1 ? "" : "s")")
        case .unknown(let why):
            return .failure(
                "nf_tables", why,
                advice: rights.netAdmin
                    ? "Boot a kernel with nf_tables, or let it load the module."
                    : "Give it CAP_NET_ADMIN first.")
        }
    }
}

extension FeatureTrials {
    /// One check for each feature, and one for the rule set as a whole.
    ///
    /// - Parameters:
    ///   - rights: those that it was tried with.
    ///   - isReachable: false when another check tells already why nothing could be tried.
    func checks(_ rights: NodeFacts.Rights, isReachable: Bool) -> [Check] {
        let groundCheck: Check
        switch ground {
        case .scratchNetwork:
            groundCheck = .ok("trial", "rules were committed in a network namespace made for it")
        case .takenBack(let why):
            groundCheck = .note(
                "trial",
                "rules were looked through by the kernel and taken back, without base chains: \(why)",
                advice: rights.sysAdmin
                    ? "Sluice needs no namespace; where one may be made (seccomp, user.max_net_namespaces) nat chains are tried as well."
                    : "Sluice needs no more rights; with CAP_SYS_ADMIN nat chains are tried as well.")
        case .none(let why):
            groundCheck = .note(
                "trial", "not tried: \(why)",
                advice: isReachable
                    ? "Try again with CAP_NET_ADMIN and CAP_SYS_ADMIN."
                    : "Put right what failed above, and check again.")
        }
        return [groundCheck] + Feature.allCases.flatMap(checks) + rulesetCheck
    }

    private func checks(_ feature: Feature) -> [Check] {
        let trials = trials.filter { $0.feature == feature }
        guard feature == .natChains else {
            return trials.isEmpty ? [] : [check(feature, feature.name, trials)]
        }
        // What they need differs from family to family.
        return trials.map { check(feature, "\(feature.name), \($0.family)", [$0]) }
    }

    private func check(_ feature: Feature, _ name: String, _ trials: [Trial]) -> Check {
        let refused = trials.filter { $0.refusal != nil }
        guard !refused.isEmpty else {
            return .ok(
                name,
                feature == .natChains
                    ? "at prerouting, input, output, postrouting"
                    : trials.map { $0.family.description }.joined(separator: ", "))
        }
        var found: [String] = []
        for refusal in refused.compactMap(\.refusal) where !found.contains(refusal) {
            found.append(refusal)
        }
        let text = found.joined(separator: "; ")
        if let since = feature.since, let use = feature.use {
            return .note(name, text, advice: "Sluice works without; from Linux \(since) on \(use).")
        }
        if let use = feature.use {
            return .warning(
                name, text, advice: "Boot a kernel with \(feature.options) where \(use).")
        }
        return .failure(
            name, text, advice: "Boot a kernel with \(feature.options), or let it load the module.")
    }

    private var rulesetCheck: [Check] {
        let name = "whole rule set"
        switch ruleset {
        case nil: return []
        case .taken(let operations):
            return [.ok(name, "Services of every kind, \(operations) operations")]
        case .refused(let why):
            return [
                .failure(
                    name, why,
                    advice: "Boot a kernel that has what was refused: see the features above.")
            ]
        }
    }
}
