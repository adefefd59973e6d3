import IPAddressing

extension ConntrackFacts {
    /// From which part of the limit on new connections are in danger.
    private static var crowded: Double { 0.9 }

    var checks: [Check] { [answerCheck, fillCheck, parameterCheck] }

    private var answerCheck: Check {
        switch answer {
        case .given: .ok("conntrack", "ctnetlink answers")
        case .refused(let why):
            .warning(
                "conntrack", why,
                advice:
                    "Boot a kernel with CONFIG_NF_CT_NETLINK: without it UDP flows to endpoints that are gone stay."
            )
        case .notAsked:
            .note("conntrack", "not asked: it takes CAP_NET_ADMIN", advice: "Give it CAP_NET_ADMIN first.")
        }
    }

    private var fillCheck: Check {
        let name = "conntrack table"
        guard let count, let limit, limit > 0 else {
            return .note(
                name, "nothing is tracked yet", advice: "Nothing: rules that need it bring it into use.")
        }
        let found = "\(count) of \(limit) connections (\(count * 100 / limit) %)"
        guard Double(count) > Double(limit) * Self.crowded else { return .ok(name, found) }
        return .warning(
            name, found,
            advice:
                "Raise net.netfilter.nf_conntrack_max, by conntrack.maxPerCore: when it is full, new connections are dropped."
        )
    }

    private var parameterCheck: Check {
        let name = "conntrack limits"
        guard let first = lockedParameters.first else { return .ok(name, "can be set") }
        let others = lockedParameters.count - 1
        return .note(
            name, "\(first)\(others > 0 ? " and \(others) more" : "") can't be written",
            advice:
                "Set them in the node's /etc/sysctl.d, or by a privileged init container; Sluice works without."
        )
    }
}

extension NetworkFacts {
    var checks: [Check] {
        AddressFamily.allCases.map(forwardingCheck) + [bridgeCheck, strictCheck]
    }

    private func forwardingCheck(_ family: AddressFamily) -> Check {
        let name = "forwarding, IPv\(family.rawValue)"
        let parameter = family == .ipv4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding"
        switch (forwarding[family], addressed.contains(family)) {
        case (true, _): return .ok(name, "\(parameter) is 1")
        case (nil, _):
            return .note(
                name, "the kernel has no IPv\(family.rawValue)",
                advice: "Nothing, where the cluster has none either.")
        case (_, true):
            return .warning(
                name, "\(parameter) is 0",
                advice:
                    "Set it to 1, unless the cluster has no pods of this family: what isn't for the node itself is dropped."
            )
        case (_, false):
            return .note(
                name, "\(parameter) is 0, and the node has no IPv\(family.rawValue) address",
                advice: "Set it to 1 before pods of this family come.")
        }
    }

    private var bridgeCheck: Check {
        let name = "bridge netfilter"
        let parameters: [(AddressFamily, String)] = [
            (.ipv4, "bridge-nf-call-iptables"), (.ipv6, "bridge-nf-call-ip6tables"),
        ]
        let advice =
            "Where pods sit on a bridge, load br_netfilter and set both to 1: pods of one bridge answer past the rules otherwise."
        guard !bridgeFilter.isEmpty else {
            return .note(name, "br_netfilter isn't loaded", advice: advice)
        }
        let off = parameters.filter { bridgeFilter[$0.0] != true }.map(\.1)
        guard off.isEmpty else {
            return .note(name, "\(off.joined(separator: ", ")): 0", advice: advice)
        }
        return .ok(name, "\(parameters.map(\.1).joined(separator: ", ")): 1")
    }

    /// More names than this are counted.
    private static var namesAtMost: Int { 4 }

    private var strictCheck: Check {
        let name = "rp_filter"
        guard !strictInterfaces.isEmpty else { return .ok(name, "strict nowhere") }
        let rest = strictInterfaces.count - Self.namesAtMost
        let names = strictInterfaces.prefix(Self.namesAtMost).joined(separator: ", ")
        return .note(
            name, "strict on \(names)\(rest > 0 ? " and \(rest) more" : "")",
            advice: "Nothing, unless answers leave by another interface than requests come in: then set 2.")
    }
}
