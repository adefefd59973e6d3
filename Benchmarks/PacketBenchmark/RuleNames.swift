import IPAddressing
import KubernetesAPI

/// Names of chains as kube-proxy makes them: of the same length and as scattered, so that looking one up costs the same.
enum RuleNames {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

    /// `count` base32 digits that stand for the text.
    static func hash(_ text: String, _ count: Int) -> String {
        var state: UInt64 = 0xcbf2_9ce4_8422_2325
        // FNV-1a, then splitmix64 for each digit.
        for byte in text.utf8 { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return String(
            decoding: (0..<count).map { _ in
                state &+= 0x9e37_79b9_7f4a_7c15
                var value = state
                value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
                value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
                return digits[Int((value ^ value >> 31) & 31)]
            }, as: UTF8.self)
    }

    /// `KUBE-SVC-…`
    static func iptablesService(_ port: ServicePort) -> String {
        "KUBE-SVC-" + hash("\(port.title)/\(port.transport)", 16)
    }

    /// `KUBE-SEP-…`
    static func iptablesEndpoint(_ port: ServicePort, _ index: Int) -> String {
        "KUBE-SEP-" + hash("\(port.title)/\(port.transport)/\(port.endpoints[index])", 16)
    }

    private static func suffix(_ port: ServicePort) -> String {
        "\(port.service.namespace)/\(port.service.name)/\(port.transport)/\(port.name)"
    }

    /// `service-<hash>-<namespace>/<service>/<protocol>/<port>`
    static func serviceChain(_ port: ServicePort) -> String {
        let suffix = suffix(port)
        return "service-\(hash(suffix, 8))-\(suffix)"
    }

    /// `<hash>-<namespace>/<service>/<protocol>/<port>__<address>/<port>`, to be put behind `endpoint-` or `affinity-`.
    static func endpoint(_ port: ServicePort, _ index: Int) -> String {
        let endpoint = port.endpoints[index]
        let suffix = "\(suffix(port))__\(endpoint.address)/\(endpoint.port)"
        return "\(hash(suffix, 8))-\(suffix)"
    }
}
