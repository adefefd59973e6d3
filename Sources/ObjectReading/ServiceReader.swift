import Documents
import IPAddressing
import KubernetesAPI

extension RawService: RawObject {
    package static let kind = "Service"
    package static let apiVersion = "v1"

    package func read(_ reader: inout ObjectReader) -> Verdict {
        guard let metadata = reader.metadata(metadata),
            let name = reader.objectName(metadata, nameIsLabel: true, { .object(.service($0)) })
        else { return .refused }
        guard let spec = reader.value(spec, "a mapping", at: .spec, reader.refusal) else {
            if reader.findings.isEmpty { reader.report(.spec, "missing", reader.refusal) }
            return .refused
        }

        var service = Service(name: name)
        service.created = created(metadata, &reader)
        let labels = reader.labels(metadata, "it counts as without labels")
        service.proxyName = labels.flatMap { labels in
            reader.string(
                labels.proxyName,
                at: FieldPath.metadata["labels"]["service.kubernetes.io/service-proxy-name"],
                "it counts as without this label")
        }
        service.kind = reader.choice(
            spec.type, "a Service type (ClusterIP, NodePort, LoadBalancer or ExternalName)",
            fallback: .clusterIP, at: FieldPath.spec["type"])
        guard readClusterIPs(spec, into: &service, &reader) else { return .refused }
        service.ports = readPorts(spec.ports, &reader)
        service.affinityTimeout = affinityTimeout(spec, &reader)
        service.internalTrafficPolicy = reader.choice(
            spec.internalTrafficPolicy, "a traffic policy (Cluster or Local)", fallback: .cluster,
            at: FieldPath.spec["internalTrafficPolicy"])
        service.externalTrafficPolicy = reader.choice(
            spec.externalTrafficPolicy, "a traffic policy (Cluster or Local)", fallback: .cluster,
            at: FieldPath.spec["externalTrafficPolicy"])
        readExternal(spec, into: &service, &reader)
        return .objects([.service(service)])
    }

    private func created(_ metadata: RawMetadata, _ reader: inout ObjectReader) -> Int64? {
        reader.value(
            metadata.creationTimestamp, "a time (RFC 3339)", at: FieldPath.metadata["creationTimestamp"],
            "it counts as unknown")?.seconds
    }

    private func affinityTimeout(_ spec: Spec, _ reader: inout ObjectReader) -> UInt32? {
        let affinity: SessionAffinity = reader.choice(
            spec.sessionAffinity, "a session affinity (None or ClientIP)", fallback: .none,
            at: FieldPath.spec["sessionAffinity"])
        guard affinity == .clientIP else { return nil }
        let fallback: UInt32 = 10_800
        let follows = "\(fallback) is used"
        let path = FieldPath.spec["sessionAffinityConfig"]
        let config = reader.value(spec.sessionAffinityConfig, "a mapping", at: path, follows)
        let clientIP = config.flatMap {
            reader.value($0.clientIP, "a mapping", at: path["clientIP"], follows)
        }
        let rule = "a number of seconds (1 to 86400)"
        let timeoutPath = path["clientIP"]["timeoutSeconds"]
        let seconds = clientIP.flatMap {
            reader.value($0.timeoutSeconds, rule, at: timeoutPath, follows)
        }
        guard let seconds else { return fallback }
        guard (1...86_400).contains(seconds) else {
            reader.report(timeoutPath, "\(seconds) is not \(rule)", follows)
            return fallback
        }
        return UInt32(seconds)
    }
}

private enum SessionAffinity: String {
    case none = "None"
    case clientIP = "ClientIP"
}

extension RawService {
    /// `clusterIPs`, or `clusterIP` alone; false when the Service is to be refused.
    private func readClusterIPs(
        _ spec: Spec, into service: inout Service, _ reader: inout ObjectReader
    ) -> Bool {
        let onePath = FieldPath.spec["clusterIP"]
        let manyPath = FieldPath.spec["clusterIPs"]
        var one = reader.string(spec.clusterIP, at: onePath, "it counts as unset")
        if one == "" { one = nil }
        let many = reader.list(
            spec.clusterIPs, of: "an IP address", at: manyPath, "it counts as unset",
            each: "this address is not served"
        ).filter { !$0.value.isEmpty }

        if let first = many.first, let one, first.value != one {
            reader.report(
                onePath, "\(Text.quoted(one)) is not clusterIPs[0], \(Text.quoted(first.value))",
                "clusterIPs is used")
        }
        if (many.first?.value ?? one) == "None" {
            service.isHeadless = true
            return true
        }
        if service.kind == .externalName { return true }
        // Without an address there is nothing to serve, and an API server says so on purpose.
        if reader.origin == .apiServer, spec.hasNoClusterIPFields { return true }

        let texts =
            many.isEmpty ? one.map { [(onePath, $0)] } ?? [] : many.map { (manyPath[$0.index], $0.value) }
        for (path, text) in texts {
            let follows = texts.count == 1 ? reader.refusal : "this address is not served"
            let forbidden: ForbiddenAddresses =
                reader.origin == .apiServer ? ForbiddenAddresses(linkLocal: false) : .special
            guard let address = reader.address(text, forbidding: forbidden, at: path, follows)
            else { continue }
            if service.clusterIPs.contains(where: { $0.family == address.family }) {
                reader.report(path, "\(address) is the second cluster IP of its family", follows)
            } else {
                service.clusterIPs.append(address)
            }
        }
        if !service.clusterIPs.isEmpty { return true }
        // Another proxy's Service is never served here, so that it has no address concerns nobody.
        if service.proxyName != nil { return true }
        if texts.isEmpty, spec.hasNoClusterIPFields {
            reader.report(
                onePath, "missing, and from manifests no API server allocates one", reader.refusal)
        } else if texts.count != 1 {
            reader.report(onePath, "no usable address", reader.refusal)
        }
        return false
    }

    private func readPorts(
        _ field: Field<[Field<Port>]>, _ reader: inout ObjectReader
    ) -> [Service.Port] {
        let list = FieldPath.spec["ports"]
        let follows = "this port is not served"
        let raw = reader.list(
            field, of: "a mapping", at: list, "this Service has no ports", each: follows)
        let count = if case .value(let all) = field { all.count } else { 0 }
        var ports: [Service.Port] = []
        var seen: [PortKey: Int] = [:]
        var names: [String: Int] = [:]
        for (index, entry) in raw {
            let path = list[index]
            guard let transport = reader.transport(entry.protocol, at: path["protocol"], follows)
            else { continue }
            if case .absent = entry.port {
                reader.report(path["port"], "missing", follows)
                continue
            }
            guard let number = reader.port(entry.port, zeroIsNone: false, at: path["port"], follows)
            else { continue }
            guard let name = portName(entry.name, at: path["name"], required: count > 1, &reader)
            else { continue }
            if let first = names[name] {
                reader.report(
                    path["name"], "\(Text.quoted(name)) is the name of spec.ports[\(first)] already",
                    follows)
                continue
            }
            let key = PortKey(transport: transport, port: number)
            if let first = seen[key] {
                let label = "\(number)/\(transport.description.uppercased())"
                reader.report(path["port"], "\(label) is spec.ports[\(first)] already", follows)
                continue
            }
            names[name] = index
            seen[key] = index
            let nodePort = reader.port(
                entry.nodePort, zeroIsNone: true, at: path["nodePort"],
                "this port is served without a node port")
            ports.append(
                Service.Port(name: name, transport: transport, port: number, nodePort: nodePort))
        }
        return ports
    }

    private func portName(
        _ field: Field<String>, at path: FieldPath, required: Bool, _ reader: inout ObjectReader
    ) -> String? {
        let follows = "this port is not served"
        switch field {
        case .absent, .null, .value(""):
            if !required { return "" }
            reader.report(path, "missing, and a Service of several ports names each", follows)
        case .wrong(let found):
            reader.report(path, "\(found) is not a string", follows)
        case .value(let name):
            if Text.isLabel(name) { return reader.interner.intern(name) }
            reader.report(path, "\(Text.quoted(name)) is not \(Text.labelRule)", follows)
        }
        return nil
    }

    private func readExternal(
        _ spec: Spec, into service: inout Service, _ reader: inout ObjectReader
    ) {
        let follows = "this address is not served"
        let externalPath = FieldPath.spec["externalIPs"]
        let externalIPs = reader.list(
            spec.externalIPs, of: "an IP address", at: externalPath, "no external IP is served",
            each: follows)
        // Sets, since there may be tens of thousands.
        var seen: Set<IPAddress> = []
        for (index, text) in externalIPs {
            let address = reader.address(text, forbidding: .special, at: externalPath[index], follows)
            if let address, seen.insert(address).inserted { service.externalIPs.append(address) }
        }

        let rangesPath = FieldPath.spec["loadBalancerSourceRanges"]
        let ranges = reader.networks(
            spec.loadBalancerSourceRanges, at: rangesPath, "this range lets nobody in")
        switch spec.loadBalancerSourceRanges {
        case .absent, .null, .value([]): break
        // A range that can't be read closes rather than opens: the list counts as given.
        case .value(let all):
            service.sourceRanges = ranges
            service.hasUnreadableSourceRanges = ranges.count < all.count
        case .wrong:
            service.sourceRanges = ranges
            service.hasUnreadableSourceRanges = true
        }
        service.healthCheckNodePort = reader.port(
            spec.healthCheckNodePort, zeroIsNone: true, at: FieldPath.spec["healthCheckNodePort"],
            "there is no health check port")

        let statusPath = FieldPath.root["status"]
        let nothing = "no load balancer address is served"
        let status = reader.value(status, "a mapping", at: statusPath, nothing)
        let loadBalancer = status.flatMap {
            reader.value($0.loadBalancer, "a mapping", at: statusPath["loadBalancer"], nothing)
        }
        guard let loadBalancer else { return }
        let path = statusPath["loadBalancer"]["ingress"]
        let ingress = reader.list(
            loadBalancer.ingress, of: "a mapping", at: path, nothing, each: follows)
        seen = []
        for (index, entry) in ingress {
            let mode = reader.string(entry.ipMode, at: path[index]["ipMode"], follows)
            if case .wrong = entry.ipMode { continue }
            if let mode, mode != "VIP", mode != "Proxy" {
                reader.report(
                    path[index]["ipMode"], "\(Text.quoted(mode)) is not an IP mode (VIP or Proxy)", follows)
            }
            guard mode == nil || mode == "VIP",
                let text = reader.string(entry.ip, at: path[index]["ip"], follows), !text.isEmpty
            else { continue }
            // Some load balancers do use link-local addresses, and validation allows them here.
            let address = reader.address(
                text, forbidding: ForbiddenAddresses(linkLocal: false), at: path[index]["ip"], follows)
            if let address, seen.insert(address).inserted { service.loadBalancerIPs.append(address) }
        }
    }
}

private struct PortKey: Hashable {
    var transport: TransportProtocol
    var port: UInt16
}

extension RawService.Spec {
    /// True when nothing was said about cluster IPs, rather than something wrong.
    fileprivate var hasNoClusterIPFields: Bool {
        switch (clusterIP, clusterIPs) {
        case (.absent, .absent), (.null, .absent), (.absent, .null), (.null, .null),
            (.value(""), .absent), (.value(""), .null), (.absent, .value([])), (.null, .value([])),
            (.value(""), .value([])):
            true
        default: false
        }
    }
}
