internal import IPAddressing
internal import KubernetesAPI

/// How the fields of `KubernetesAPI`'s types are written, with the field numbers of k8s.io/api's `core/v1`,
/// `discovery/v1` and `networking/v1`.
extension APIObject {
    static func add(_ service: Service, to message: inout APIMessage) {
        var spec = APIMessage()
        spec.add(1, "ports", .list(service.ports.map { .message(port($0)) }))
        spec.add(2, "selector", .map(["app": service.name.name]))
        let isExternal = service.kind == .externalName
        let addresses = service.isHeadless ? ["None"] : service.clusterIPs.map { "\($0)" }
        spec.addPlain(3, "clusterIP", .string(isExternal ? "" : addresses.first ?? ""))
        spec.addPlain(4, "type", .string(service.kind.rawValue))
        spec.add(5, "externalIPs", .strings(service.externalIPs.map { "\($0)" }))
        spec.addPlain(7, "sessionAffinity", .string(service.affinityTimeout == nil ? "None" : "ClientIP"))
        spec.addPlain(8, "loadBalancerIP", .string(""))
        spec.add(9, "loadBalancerSourceRanges", .strings(service.sourceRanges?.map { "\($0)" } ?? []))
        spec.addPlain(10, "externalName", .string(isExternal ? "example.org" : ""))
        let hasExternal = service.kind != .clusterIP || !service.externalIPs.isEmpty
        spec.addPlain(
            11, "externalTrafficPolicy", .string(hasExternal ? service.externalTrafficPolicy.rawValue : ""))
        spec.addPlain(12, "healthCheckNodePort", .integer(Int64(service.healthCheckNodePort ?? 0)))
        spec.addPlain(13, "publishNotReadyAddresses", .boolean(false))
        spec.add(14, "sessionAffinityConfig", service.affinityTimeout.map { .message(affinity($0)) })
        spec.add(17, "ipFamilyPolicy", .string(addresses.count > 1 ? "PreferDualStack" : "SingleStack"))
        spec.add(18, "clusterIPs", .strings(isExternal ? [] : addresses))
        spec.add(19, "ipFamilies", .strings(service.clusterIPs.map { $0.family == .ipv4 ? "IPv4" : "IPv6" }))
        if service.kind == .loadBalancer { spec.add(20, "allocateLoadBalancerNodePorts", .boolean(true)) }
        spec.add(22, "internalTrafficPolicy", .string(service.internalTrafficPolicy.rawValue))
        message.addPlain(2, "spec", .message(spec))

        var balancer = APIMessage()
        balancer.add(1, "ingress", .list(service.loadBalancerIPs.map { .message(ingress("\($0)")) }))
        message.addPlain(
            3, "status", .message([.init(number: 1, name: "loadBalancer", value: .message(balancer))]))
    }

    private static func port(_ port: Service.Port) -> APIMessage {
        var message = APIMessage()
        message.addPlain(1, "name", .string(port.name))
        message.addPlain(2, "protocol", .string("\(port.transport)".uppercased()))
        message.add(3, "port", .integer(Int64(port.port)))
        // Both forms of IntOrString.
        let target: APIMessage.Value = port.name.isEmpty ? .number(Int32(port.port)) : .portName(port.name)
        message.add(4, "targetPort", target)
        message.addPlain(5, "nodePort", .integer(Int64(port.nodePort ?? 0)))
        return message
    }

    private static func affinity(_ seconds: UInt32) -> APIMessage {
        let client: APIMessage = [.init(number: 1, name: "timeoutSeconds", value: .integer(Int64(seconds)))]
        return [.init(number: 1, name: "clientIP", value: .message(client))]
    }

    private static func ingress(_ address: String) -> APIMessage {
        var message = APIMessage()
        message.add(1, "ip", .string(address))
        message.addPlain(2, "hostname", .string(""))
        message.add(3, "ipMode", .string("VIP"))
        return message
    }

    static func add(_ slice: EndpointSlice, to message: inout APIMessage) {
        message.add(2, "endpoints", .list(slice.endpoints.map { .message(endpoint($0, of: slice)) }))
        // The API has `endpoints: null` where there are none.
        let ports = slice.ports.map { port -> APIMessage.Value in
            var message = APIMessage()
            message.add(1, "name", .string(port.name))
            message.add(2, "protocol", .string("\(port.transport)".uppercased()))
            message.add(3, "port", .integer(Int64(port.port)))
            return .message(message)
        }
        message.add(3, "ports", .list(ports))
        message.add(4, "addressType", .string(slice.family == .ipv4 ? "IPv4" : "IPv6"))
    }

    private static func endpoint(_ endpoint: EndpointSlice.Endpoint, of slice: EndpointSlice) -> APIMessage {
        var conditions = APIMessage()
        conditions.add(1, "ready", .boolean(endpoint.isReady))
        conditions.add(2, "serving", .boolean(endpoint.isServing))
        conditions.add(3, "terminating", .boolean(endpoint.isTerminating))
        var pod = APIMessage()
        pod.add(1, "kind", .string("Pod"))
        pod.add(2, "namespace", .string(slice.name.namespace))
        pod.add(3, "name", .string("\(slice.service.name)-\(endpoint.address)"))
        pod.add(4, "uid", .string("6b1d9a3e-5a35-4b57-9c7f-2f1f7c4f0e52"))
        for number in 5...7 { pod.add(number, nil, .string("")) }
        var hints = APIMessage()
        hints.add(1, "forZones", .list(endpoint.zoneHints.map(named)))
        hints.add(2, "forNodes", .list(endpoint.nodeHints.map(named)))

        var message = APIMessage()
        message.add(1, "addresses", .strings(["\(endpoint.address)"]))
        message.addPlain(2, "conditions", .message(conditions))
        message.add(4, "targetRef", .message(pod))
        message.add(6, "nodeName", endpoint.nodeName.map { .string($0) })
        if !hints.fields.isEmpty { message.add(8, "hints", .message(hints)) }
        return message
    }

    private static func named(_ name: String) -> APIMessage.Value {
        .message([.init(number: 1, name: "name", value: .string(name))])
    }

    static func add(_ node: Node, taints: [Taint], to message: inout APIMessage) {
        var spec = APIMessage()
        spec.addPlain(1, "podCIDR", .string(node.podCIDRs.first.map { "\($0)" } ?? ""))
        spec.addPlain(2, "externalID", .string(""))
        spec.addPlain(3, "providerID", .string(""))
        spec.addPlain(4, "unschedulable", .boolean(false))
        spec.add(
            5, "taints",
            .list(
                taints.map { taint in
                    var message = APIMessage()
                    message.add(1, "key", .string(taint.key))
                    message.addPlain(2, "value", .string(""))
                    message.add(3, "effect", .string(taint.effect))
                    return .message(message)
                }))
        spec.add(7, "podCIDRs", .strings(node.podCIDRs.map { "\($0)" }))
        message.addPlain(2, "spec", .message(spec))

        var status = APIMessage()
        let addresses = node.addresses.map { ("InternalIP", "\($0)") } + [("Hostname", node.name)]
        status.add(
            5, "addresses",
            .list(
                addresses.map { type, address in
                    .message([
                        .init(number: 1, name: "type", value: .string(type)),
                        .init(number: 2, name: "address", value: .string(address)),
                    ])
                }))
        message.addPlain(3, "status", .message(status))
    }

    static func add(_ block: ServiceCIDR, to message: inout APIMessage) {
        var spec = APIMessage()
        spec.add(1, "cidrs", .strings(block.networks.map { "\($0)" }))
        message.addPlain(2, "spec", .message(spec))
    }
}
