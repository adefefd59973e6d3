import Documents
import IPAddressing
import KubernetesAPI

extension RawNode: RawObject {
    package static let kind = "Node"
    package static let apiVersion = "v1"

    package func read(_ reader: inout ObjectReader) -> Verdict {
        guard let metadata = reader.metadata(metadata),
            let name = reader.clusterScopedName(metadata, ClusterObject.Key.node)
        else { return .refused }
        var node = Node(name: name)
        let labels = reader.labels(metadata, "it counts as without labels")
        node.zone = labels.flatMap { labels in
            reader.string(
                labels.zone, at: FieldPath.metadata["labels"]["topology.kubernetes.io/zone"],
                "its zone counts as unknown")
        }
        // Its value says when; that it is there says that the Node goes.
        let deletion = reader.value(
            metadata.deletionTimestamp, "a time", at: FieldPath.metadata["deletionTimestamp"],
            "it counts as to stay")
        node.isBeingDeleted = deletion != nil
        if let spec = reader.value(spec, "a mapping", at: .spec, "it counts as without pod CIDRs") {
            node.isToBeDeletedByAutoscaler = hasAutoscalerTaint(spec, &reader)
            let follows = "this CIDR is passed over"
            node.podCIDRs = reader.networks(
                spec.podCIDRs, at: FieldPath.spec["podCIDRs"], follows)
            let one = FieldPath.spec["podCIDR"]
            if node.podCIDRs.isEmpty, let text = reader.string(spec.podCIDR, at: one, follows),
                !text.isEmpty
            {
                if let network = IPNetwork(lenient: text) {
                    node.podCIDRs = [network]
                } else {
                    reader.report(one, "\(Text.quoted(text)) is not a CIDR", follows)
                }
            }
        }
        node.addresses = addresses(&reader)
        return .objects([.node(node)])
    }

    private func hasAutoscalerTaint(_ spec: Spec, _ reader: inout ObjectReader) -> Bool {
        let path = FieldPath.spec["taints"]
        let follows = "this taint is passed over"
        let taints = reader.list(
            spec.taints, of: "a mapping", at: path, "it counts as without taints", each: follows)
        return taints.reduce(false) { found, taint in
            let key = reader.string(taint.1.key, at: path[taint.0]["key"], follows)
            return found || key == Node.autoscalerTaint
        }
    }

    private func addresses(_ reader: inout ObjectReader) -> [IPAddress] {
        let path = FieldPath.root["status"]
        let follows = "this address is passed over"
        guard let status = reader.value(status, "a mapping", at: path, "it has no addresses")
        else { return [] }
        let list = path["addresses"]
        let raw = reader.list(
            status.addresses, of: "a mapping", at: list, "it has no addresses", each: follows)
        var found: [String: [IPAddress]] = [:]
        for (index, entry) in raw {
            let type = reader.string(entry.type, at: list[index]["type"], follows)
            guard let type, type == "InternalIP" || type == "ExternalIP",
                let text = reader.string(entry.address, at: list[index]["address"], follows)
            else { continue }
            if let address = IPAddress(lenient: text) {
                found[type, default: []].append(address)
            } else {
                reader.report(
                    list[index]["address"], "\(Text.quoted(text)) is not an IP address", follows)
            }
        }
        return found["InternalIP", default: []] + found["ExternalIP", default: []]
    }
}

extension RawServiceCIDR: RawObject {
    package static let kind = "ServiceCIDR"
    package static let apiVersion = "networking.k8s.io/v1"

    package func read(_ reader: inout ObjectReader) -> Verdict {
        guard let metadata = reader.metadata(metadata),
            let name = reader.clusterScopedName(metadata, ClusterObject.Key.serviceCIDR)
        else { return .refused }
        let path = FieldPath.spec["cidrs"]
        guard let spec = reader.value(spec, "a mapping", at: .spec, reader.refusal) else {
            if reader.findings.isEmpty { reader.report(.spec, "missing", reader.refusal) }
            return .refused
        }
        let networks = reader.networks(spec.cidrs, at: path, "this CIDR is passed over")
        if networks.isEmpty {
            if reader.findings.isEmpty { reader.report(path, "empty", reader.refusal) }
            return .refused
        }
        return .objects([.serviceCIDR(ServiceCIDR(name: name, networks: networks))])
    }
}
