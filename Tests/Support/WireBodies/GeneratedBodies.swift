public import ClusterGenerator
import IPAddressing
import KubernetesAPI

extension GeneratedCluster {
    /// Lists of all Services and of all EndpointSlices, as large as a real server's: with what
    /// Kubernetes' controllers fill in beside what a proxy reads.
    ///
    /// - Parameter hasHints: each endpoint has the hint of its own zone.
    public func serviceList() -> WireList {
        WireList("v1", "ServiceList", (0..<serviceCount).map(wireService))
    }

    public func endpointSliceList(hasHints: Bool = false) -> WireList {
        WireList(
            "discovery.k8s.io/v1", "EndpointSliceList",
            (0..<serviceCount).flatMap { index in
                slices(index).map { wireSlice($0, hasHints: hasHints) }
            })
    }

    private func wireService(_ index: Int) -> WireObject {
        let service = service(index)
        let address = WireValue.text(service.clusterIPs.first?.description ?? "None")
        let labels = [("app.kubernetes.io/name", service.name.name), ("team", service.name.namespace)]
        return WireObject(
            "v1", "Service",
            [
                WireField(
                    1, "metadata",
                    metadata(service.name, index, labels: labels, managers: ["kubectl-client-side-apply"])),
                WireField(
                    2, "spec",
                    .message([
                        WireField(
                            1, "ports",
                            .repeated(
                                service.ports.map { port in
                                    .message([
                                        WireField(1, "name", .text(port.name)),
                                        WireField(2, "protocol", "TCP"),
                                        WireField(3, "port", .number(Int64(port.port))),
                                        WireField(
                                            4, "targetPort",
                                            .verbatim([8, 0, 16, 0x90, 0x3f, 26, 0], json: "8080")),
                                        WireField(5, "nodePort", 0),
                                    ])
                                })),
                        WireField(2, "selector", .map([("app.kubernetes.io/name", service.name.name)])),
                        WireField(3, "clusterIP", address), WireField(4, "type", "ClusterIP"),
                        WireField(7, "sessionAffinity", "None"),
                        WireField(12, "healthCheckNodePort", 0),
                        WireField(13, "publishNotReadyAddresses", false),
                        WireField(17, "ipFamilyPolicy", "SingleStack"),
                        WireField(18, "clusterIPs", .repeated([address])),
                        WireField(19, "ipFamilies", ["IPv4"]),
                        WireField(22, "internalTrafficPolicy", "Cluster"),
                    ])),
                WireField(
                    3, "status", .message([WireField(1, "loadBalancer", .message([]))])),
            ])
    }

    private func wireSlice(_ slice: EndpointSlice, hasHints: Bool) -> WireObject {
        let labels = [
            ("app.kubernetes.io/name", slice.service.name),
            ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"),
            ("kubernetes.io/service-name", slice.service.name), ("team", slice.service.namespace),
        ]
        let annotations = [("endpoints.kubernetes.io/last-change-trigger-time", "2026-07-01T08:15:30Z")]
        return WireObject(
            "discovery.k8s.io/v1", "EndpointSlice",
            [
                WireField(
                    1, "metadata",
                    metadata(
                        slice.name, slice.name.hashlessNumber, labels: labels, annotations: annotations,
                        managers: ["kube-controller-manager"])),
                WireField(
                    2, "endpoints",
                    .repeated(
                        slice.endpoints.enumerated().map { position, endpoint in
                            .message(wireEndpoint(slice, position, endpoint, hasHints: hasHints))
                        })),
                WireField(
                    3, "ports",
                    .repeated(
                        slice.ports.map { port in
                            .message([
                                WireField(1, "name", .text(port.name)), WireField(2, "protocol", "TCP"),
                                WireField(3, "port", .number(Int64(port.port))),
                            ])
                        })),
                WireField(4, "addressType", "IPv4"),
            ])
    }

    private func wireEndpoint(
        _ slice: EndpointSlice, _ position: Int, _ endpoint: EndpointSlice.Endpoint, hasHints: Bool
    ) -> [WireField] {
        let node = endpoint.nodeName ?? "node"
        let zone = "eu-west-1" + ["a", "b", "c"][node.utf8.reduce(0) { $0 + Int($1) } % 3]
        let pod = "\(slice.service.name)-6d4cf56db6-\(Self.padded(position, 5))"
        var fields: [WireField] = [
            WireField(1, "addresses", .repeated([.text(endpoint.address.description)])),
            WireField(
                2, "conditions",
                .message([
                    WireField(1, "ready", .flag(endpoint.isReady)),
                    WireField(2, "serving", .flag(endpoint.isServing)),
                    WireField(3, "terminating", .flag(endpoint.isTerminating)),
                ])),
            WireField(
                4, "targetRef",
                .message([
                    WireField(1, "kind", "Pod"), WireField(2, "namespace", .text(slice.name.namespace)),
                    WireField(3, "name", .text(pod)),
                    WireField(4, "uid", "5f3c9d60-7a1e-4c0b-9f5e-1d2b3c4d5e6f"),
                    WireField(5, "apiVersion", ""), WireField(6, "resourceVersion", ""),
                    WireField(7, "fieldPath", ""),
                ])),
            WireField(6, "nodeName", .text("\(node).eu-west-1.compute.internal")),
            WireField(7, "zone", .text(zone)),
        ]
        if hasHints {
            fields.append(
                WireField(
                    8, "hints",
                    .message([WireField(1, "forZones", [.message([WireField(1, "name", .text(zone))])])])))
        }
        return fields
    }

    private func metadata(
        _ name: ObjectName, _ number: Int, labels: [(String, String)],
        annotations: [(String, String)] = [], managers: [String]
    ) -> WireValue {
        // About what kubectl and the controllers leave behind.
        let owned =
            #"{"f:metadata":{"f:annotations":{".":{},"f:endpoints.kubernetes.io/last-change-trigger-time":{}},"#
            + #""f:labels":{".":{},"f:app.kubernetes.io/name":{},"f:team":{}}},"f:spec":{"f:selector":{}}}"#
        let time = WireValue.time(1_767_323_045, "2026-01-02T03:04:05Z")
        return .message([
            WireField(1, "name", .text(name.name)), WireField(2, "generateName", ""),
            WireField(3, "namespace", .text(name.namespace)), WireField(4, "selfLink", ""),
            WireField(5, "uid", "0c7e6f0e-1111-4222-8333-444455556666"),
            WireField(6, "resourceVersion", .text(String(100_000 + number))),
            WireField(7, "generation", 3), WireField(8, "creationTimestamp", time),
            WireField(11, "labels", .map(labels.map { (key: $0.0, value: $0.1) })),
            WireField(12, "annotations", .map(annotations.map { (key: $0.0, value: $0.1) })),
            WireField(
                17, "managedFields",
                .repeated(
                    managers.map { manager in
                        .message([
                            WireField(1, "manager", .text(manager)), WireField(2, "operation", "Update"),
                            WireField(3, "apiVersion", "v1"), WireField(4, "time", time),
                            WireField(6, "fieldsType", "FieldsV1"),
                            WireField(
                                7, "fieldsV1",
                                .verbatim(
                                    [WireField(1, "Raw", .text(owned))].protobuf, json: owned)),
                        ])
                    })),
        ])
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

extension ObjectName {
    /// A number of the name, the same in every run.
    fileprivate var hashlessNumber: Int { name.utf8.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xffff } }
}
