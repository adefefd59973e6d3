import Documents
package import IPAddressing
package import KubernetesAPI

extension RawEndpointSlice: RawObject {
    package static let kind = "EndpointSlice"
    package static let apiVersion = "discovery.k8s.io/v1"

    package func read(_ reader: inout ObjectReader) -> Verdict {
        read(&reader) { family, reader in readEndpoints(family, &reader) }
    }

    /// The same, with endpoints that are read from elsewhere than `endpoints`.
    package func read(
        _ reader: inout ObjectReader,
        endpoints: (AddressFamily, inout ObjectReader) -> [EndpointSlice.Endpoint]
    ) -> Verdict {
        guard let metadata = reader.metadata(metadata),
            let name = reader.objectName(metadata, nameIsLabel: false, { .object(.endpointSlice($0)) })
        else { return .refused }
        if addressType.ifValid == "FQDN" { return .skipped("EndpointSlice of address type FQDN") }
        let labels = reader.labels(metadata, reader.refusal)
        if case .wrong = metadata.labels { return .refused }
        if let labels, !labels.headless.isAbsent { return .skipped("EndpointSlice of a headless Service") }

        let labelPath = { FieldPath.metadata["labels"]["kubernetes.io/service-name"] }
        guard let serviceName = labels?.serviceName, !serviceName.isAbsent else {
            // The API lets everybody keep such slices for uses of their own.
            if reader.origin == .apiServer { return .skipped("EndpointSlice of no Service") }
            reader.report(labelPath(), "missing, so it belongs to no Service", reader.refusal)
            return .refused
        }
        guard let service = reader.name(serviceName, isLabel: true, at: labelPath()),
            let family = family(&reader)
        else { return .refused }

        return .objects([
            .endpointSlice(
                EndpointSlice(
                    name: name, service: ObjectName(namespace: name.namespace, name: service),
                    family: family, endpoints: endpoints(family, &reader),
                    ports: RawEndpointPort.read(ports, at: FieldPath.root["ports"], &reader)))
        ])
    }

    private func family(_ reader: inout ObjectReader) -> AddressFamily? {
        let path = FieldPath.root["addressType"]
        let rule = "an address type (IPv4 or IPv6)"
        switch addressType {
        case .value("IPv4"): return .ipv4
        case .value("IPv6"): return .ipv6
        case .absent, .null: reader.report(path, "missing", reader.refusal)
        case .value(let other): reader.report(path, "\(Text.quoted(other)) is not \(rule)", reader.refusal)
        case .wrong(let found): reader.report(path, "\(found) is not \(rule)", reader.refusal)
        }
        return nil
    }

    private func readEndpoints(
        _ family: AddressFamily, _ reader: inout ObjectReader
    ) -> [EndpointSlice.Endpoint] {
        let raw = reader.list(
            endpoints, of: "a mapping", at: FieldPath.root["endpoints"],
            "this EndpointSlice has no endpoints", each: "this endpoint is not served")
        var result: [EndpointSlice.Endpoint] = []
        result.reserveCapacity(raw.count)
        for (index, entry) in raw {
            if let endpoint = entry.read(family, index: index, &reader) { result.append(endpoint) }
        }
        return result
    }
}

extension RawEndpointSlice.Endpoint {
    /// The endpoint that is `endpoints[index]`; nil, and reported, when it can't be served.
    package func read(
        _ family: AddressFamily, index: Int, _ reader: inout ObjectReader
    ) -> EndpointSlice.Endpoint? {
        let path = { FieldPath.root["endpoints"][index] }
        guard let address = address(.special(but: family), at: path(), &reader) else { return nil }
        var endpoint = EndpointSlice.Endpoint(address: address, placement: .unknown)
        let conditionsPath = { path()["conditions"] }
        let given = reader.value(
            conditions, "a mapping", at: conditionsPath(), "this endpoint counts as not ready")
        if let given {
            // A condition that can't be read is taken so that the endpoint gets less traffic.
            endpoint.isReady = reader.condition(given.ready, fallback: true, at: conditionsPath()["ready"])
            endpoint.isServing = reader.condition(
                given.serving, fallback: true, at: conditionsPath()["serving"])
            endpoint.isTerminating =
                reader.value(
                    given.terminating, "true or false", at: conditionsPath()["terminating"],
                    "it counts as false") ?? false
        } else if case .wrong = conditions {
            endpoint.isReady = false
            endpoint.isServing = false
        }
        let nodeName = reader.nodeName(nodeName, at: path()["nodeName"])
        var zones: [String] = []
        var nodes: [String] = []
        let hintsPath = { path()["hints"] }
        if let hints = reader.value(hints, "a mapping", at: hintsPath(), "this endpoint has no hints") {
            zones = reader.hints(hints.forZones, at: hintsPath()["forZones"])
            nodes = reader.hints(hints.forNodes, at: hintsPath()["forNodes"])
        }
        endpoint.placement = reader.interner.intern(
            Placement(nodeName: nodeName, zoneHints: zones, nodeHints: nodes))
        return endpoint
    }

    /// `addresses[0]`; the API reserves the others and says to ignore them.
    private func address(
        _ forbidden: ForbiddenAddresses, at path: @autoclosure () -> FieldPath,
        _ reader: inout ObjectReader
    ) -> IPAddress? {
        let follows = "this endpoint is not served"
        guard let fields = reader.value(addresses, "a list", at: path()["addresses"], follows) else {
            if case .wrong = addresses { return nil }
            reader.report(path()["addresses"], "missing", follows)
            return nil
        }
        switch fields.first {
        case .value(let text):
            return reader.address(text, forbidding: forbidden, at: path()["addresses"][0], follows)
        case .wrong(let found):
            reader.report(path()["addresses"][0], "\(found) is not an IP address", follows)
        case .null, .absent:
            reader.report(path()["addresses"][0], "null is not an IP address", follows)
        case nil:
            reader.report(path()["addresses"], "empty", follows)
        }
        return nil
    }
}

extension RawEndpointPort {
    /// The ports of a slice or subset. A port without a number, or with an explicit null name, is
    /// passed over; a missing name is the empty one, which the API server would have filled in.
    static func read(
        _ field: Field<[Field<RawEndpointPort>]>, at list: FieldPath, _ reader: inout ObjectReader
    ) -> [EndpointSlice.Port] {
        let follows = "this port is not served"
        let raw = reader.list(
            field, of: "a mapping", at: list, "this \(reader.kind) has no ports", each: follows)
        var ports: [EndpointSlice.Port] = []
        for (index, entry) in raw {
            let path = list[index]
            let name: String
            switch entry.name {
            case .null: continue
            case .absent where reader.origin == .apiServer: continue
            case .absent: name = ""
            case .value(let text):
                guard text.isEmpty || Text.isLabel(text) else {
                    reader.report(
                        path["name"], "\(Text.quoted(text)) is not \(Text.labelRule)", follows)
                    continue
                }
                name = reader.interner.intern(text)
            case .wrong(let found):
                reader.report(path["name"], "\(found) is not a string", follows)
                continue
            }
            guard let transport = reader.transport(entry.protocol, at: path["protocol"], follows),
                let number = reader.port(entry.port, zeroIsNone: true, at: path["port"], follows)
            else { continue }
            ports.append(EndpointSlice.Port(name: name, transport: transport, port: number))
        }
        return ports
    }
}

extension ObjectReader {
    fileprivate mutating func condition(
        _ field: Field<Bool>, fallback: Bool, at path: @autoclosure () -> FieldPath
    ) -> Bool {
        let value = value(field, "true or false", at: path(), "it counts as false")
        if case .wrong = field { return false }
        return value ?? fallback
    }

    /// `nodeName`; nil when there is none, or one that no node can have.
    mutating func nodeName(_ field: Field<String>, at path: @autoclosure () -> FieldPath) -> String? {
        let follows = "this endpoint counts as on no node"
        guard let name = string(field, at: path(), follows), !name.isEmpty else { return nil }
        guard Text.isSubdomain(name) else {
            report(path(), "\(Text.quoted(name)) is not \(Text.subdomainRule)", follows)
            return nil
        }
        return interner.intern(name)
    }

    fileprivate mutating func hints(
        _ field: Field<[Field<RawEndpointSlice.Hint>]>, at path: @autoclosure () -> FieldPath
    ) -> [String] {
        let follows = "this hint is passed over"
        return list(field, of: "a mapping", at: path(), follows, each: follows).compactMap { index, hint in
            guard let name = string(hint.name, at: path()[index]["name"], follows) else { return nil }
            return interner.intern(name)
        }
    }
}
