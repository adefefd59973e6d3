import KubernetesAPI
import ObjectReading
import SwiftProtobuf

// The generated messages in the raw form that all checks are written for.

extension Field {
    /// An optional protobuf field.
    init(_ isSet: Bool, _ value: @autoclosure () -> Value) {
        self = isSet ? .value(value()) : .absent
    }

    /// A repeated protobuf field.
    init<Element, Raw>(_ elements: [Element], _ raw: (Element) -> Raw) where Value == [Field<Raw>] {
        self = elements.isEmpty ? .absent : .value(elements.map { .value(raw($0)) })
    }
}

extension Field<[Field<String>]> {
    init(_ strings: [String]) { self.init(strings) { $0 } }
}

extension RawTime {
    init(_ time: ProtoTime) {
        self.init(seconds: time.seconds, nanoseconds: Int64(time.nanos))
    }
}

extension RawMetadata {
    init(_ meta: ProtoObjectMeta) {
        self.init()
        name = Field(meta.hasName, meta.name)
        namespace = Field(meta.hasNamespace, meta.namespace)
        resourceVersion = Field(meta.hasResourceVersion, meta.resourceVersion)
        creationTimestamp = Field(meta.hasCreationTimestamp, RawTime(meta.creationTimestamp))
        deletionTimestamp = Field(meta.hasDeletionTimestamp, RawTime(meta.deletionTimestamp))
        if !meta.labels.isEmpty { labels = .value(RawLabels(meta.labels)) }
        if !meta.annotations.isEmpty { annotations = .value(RawAnnotations(meta.annotations)) }
    }
}

extension RawLabels {
    init(_ labels: [String: String]) {
        self.init()
        func field(_ key: CodingKeys) -> Field<String> {
            labels[key.rawValue].map(Field.value) ?? .absent
        }
        serviceName = field(.serviceName)
        headless = field(.headless)
        proxyName = field(.proxyName)
        zone = field(.zone)
    }
}

extension RawAnnotations {
    init(_ annotations: [String: String]) {
        self.init()
        if let text = annotations[CodingKeys.lastChangeTriggerTime.rawValue] {
            lastChangeTriggerTime = RawTime(text).map(Field.value) ?? .wrong(text)
        }
        initialEventsEnd = annotations[CodingKeys.initialEventsEnd.rawValue].map(Field.value) ?? .absent
    }
}

extension RawService {
    init(_ service: ProtoService) {
        self.init()
        metadata = Field(service.hasMetadata, RawMetadata(service.metadata))
        spec = Field(service.hasSpec, Spec(service.spec))
        status = Field(service.hasStatus, Status(service.status))
    }
}

extension RawService.Spec {
    init(_ spec: ProtoServiceSpec) {
        self.init()
        type = Field(spec.hasType, spec.type)
        clusterIP = Field(spec.hasClusterIp, spec.clusterIp)
        clusterIPs = Field(spec.clusterIps)
        ports = Field(spec.ports) { port in
            var raw = RawService.Port()
            raw.name = Field(port.hasName, port.name)
            raw.protocol = Field(port.hasProtocol, port.protocol)
            raw.port = Field(port.hasPort, Int(port.port))
            raw.nodePort = Field(port.hasNodePort, Int(port.nodePort))
            return raw
        }
        sessionAffinity = Field(spec.hasSessionAffinity, spec.sessionAffinity)
        if spec.hasSessionAffinityConfig {
            let config = spec.sessionAffinityConfig
            var clientIP = RawService.ClientIP()
            clientIP.timeoutSeconds = Field(
                config.clientIp.hasTimeoutSeconds, Int(config.clientIp.timeoutSeconds))
            var raw = RawService.AffinityConfig()
            raw.clientIP = Field(config.hasClientIp, clientIP)
            sessionAffinityConfig = .value(raw)
        }
        internalTrafficPolicy = Field(spec.hasInternalTrafficPolicy, spec.internalTrafficPolicy)
        externalTrafficPolicy = Field(spec.hasExternalTrafficPolicy, spec.externalTrafficPolicy)
        externalIPs = Field(spec.externalIps)
        loadBalancerSourceRanges = Field(spec.loadBalancerSourceRanges)
        healthCheckNodePort = Field(spec.hasHealthCheckNodePort, Int(spec.healthCheckNodePort))
    }
}

extension RawService.Status {
    init(_ status: ProtoServiceStatus) {
        self.init()
        var raw = RawService.LoadBalancer()
        raw.ingress = Field(status.loadBalancer.ingress) { ingress in
            var raw = RawService.Ingress()
            raw.ip = Field(ingress.hasIp, ingress.ip)
            raw.ipMode = Field(ingress.hasIpMode, ingress.ipMode)
            return raw
        }
        loadBalancer = Field(status.hasLoadBalancer, raw)
    }
}

extension RawEndpointSlice {
    /// Without the endpoints, which `EndpointFields` reads.
    init(_ slice: ProtoEndpointSlice) {
        self.init()
        metadata = Field(slice.hasMetadata, RawMetadata(slice.metadata))
        addressType = Field(slice.hasAddressType, slice.addressType)
        ports = Field(slice.ports) { port in
            var raw = RawEndpointPort()
            raw.name = Field(port.hasName, port.name)
            raw.protocol = Field(port.hasProtocol, port.protocol)
            raw.port = Field(port.hasPort, Int(port.port))
            return raw
        }
    }
}

extension RawNode {
    init(_ node: ProtoNode) {
        self.init()
        metadata = Field(node.hasMetadata, RawMetadata(node.metadata))
        if node.hasSpec {
            var raw = Spec()
            raw.podCIDR = Field(node.spec.hasPodCidr, node.spec.podCidr)
            raw.podCIDRs = Field(node.spec.podCidrs)
            raw.taints = Field(node.spec.taints) { taint in
                var raw = Taint()
                raw.key = Field(taint.hasKey, taint.key)
                return raw
            }
            spec = .value(raw)
        }
        if node.hasStatus {
            var raw = Status()
            raw.addresses = Field(node.status.addresses) { address in
                var raw = Address()
                raw.type = Field(address.hasType, address.type)
                raw.address = Field(address.hasAddress, address.address)
                return raw
            }
            status = .value(raw)
        }
    }
}

extension RawServiceCIDR {
    init(_ block: ProtoServiceCIDR) {
        self.init()
        metadata = Field(block.hasMetadata, RawMetadata(block.metadata))
        if block.hasSpec {
            var raw = Spec()
            raw.cidrs = Field(block.spec.cidrs)
            spec = .value(raw)
        }
    }
}
