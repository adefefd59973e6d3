import Documents
import IPAddressing
import KubernetesAPI

extension RawEndpoints: RawObject {
    package static let kind = "Endpoints"
    package static let apiVersion = "v1"

    /// One EndpointSlice per subset and family, named `<name>-subset-<index>-ipv4` or `-ipv6`, as
    /// the control plane's mirroring would make them.
    package func read(_ reader: inout ObjectReader) -> Verdict {
        guard let metadata = reader.metadata(metadata),
            let name = reader.objectName(metadata, nameIsLabel: true, { .named("\(Self.kind) \($0)") })
        else { return .refused }
        if let labels = reader.labels(metadata, "it counts as without labels"),
            !labels.headless.isAbsent
        {
            return .skipped("Endpoints of a headless Service")
        }
        let list = FieldPath.root["subsets"]
        var objects: [ClusterObject] = []
        let raw = reader.list(
            subsets, of: "a mapping", at: list, "there are no endpoints",
            each: "this subset is not served")
        for (index, subset) in raw {
            let path = list[index]
            let ports = RawEndpointPort.read(subset.ports, at: path["ports"], &reader)
            var endpoints: [AddressFamily: [EndpointSlice.Endpoint]] = [:]
            for (addresses, isReady, key) in [
                (subset.addresses, true, "addresses"),
                (subset.notReadyAddresses, false, "notReadyAddresses"),
            ] {
                for endpoint in Self.read(addresses, isReady: isReady, at: path[key], &reader) {
                    endpoints[endpoint.address.family, default: []].append(endpoint)
                }
            }
            for (family, members) in endpoints.sorted(by: { $0.key < $1.key }) {
                let slice = "\(name.name)-subset-\(index)-\(family == .ipv4 ? "ipv4" : "ipv6")"
                objects.append(
                    .endpointSlice(
                        EndpointSlice(
                            name: ObjectName(namespace: name.namespace, name: slice), service: name,
                            family: family, endpoints: members, ports: ports)))
            }
        }
        return .objects(objects)
    }

    private static func read(
        _ field: Field<[Field<Address>]>, isReady: Bool, at path: FieldPath,
        _ reader: inout ObjectReader
    ) -> [EndpointSlice.Endpoint] {
        let follows = "this endpoint is not served"
        let raw = reader.list(field, of: "a mapping", at: path, "they are not served", each: follows)
        return raw.compactMap { index, entry in
            guard let text = reader.string(entry.ip, at: path[index]["ip"], follows) else {
                if entry.ip.isAbsent { reader.report(path[index]["ip"], "missing", follows) }
                return nil
            }
            let address = reader.address(text, forbidding: .special, at: path[index]["ip"], follows)
            guard let address else { return nil }
            let node = reader.nodeName(entry.nodeName, at: path[index]["nodeName"])
            return EndpointSlice.Endpoint(
                address: address, isReady: isReady, isServing: isReady,
                placement: reader.interner.intern(Placement(nodeName: node)))
        }
    }
}
