import KubernetesAPI

/// The cluster as `kubectl get services,endpointslices -A -o json` would print it, a `List`, without the fields that
/// no proxy reads.
extension GeneratedCluster {
    /// Hands the manifest over in parts of some 64 KiB (UTF-8). Names need no escaping: they hold letters, digits and
    /// hyphens only.
    public func writeManifest<Failure: Error>(
        to sink: (borrowing [UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        var part: [UInt8] = []
        part += #"{"apiVersion":"v1","kind":"List","items":["#.utf8
        for index in 0..<serviceCount {
            if index > 0 { part += ",\n".utf8 }
            part += Self.json(service(index)).utf8
            for slice in slices(index) {
                part += ",\n".utf8
                part += Self.json(slice).utf8
            }
            if part.count >= 1 << 16 {
                try sink(part)
                part.removeAll(keepingCapacity: true)
            }
        }
        part += "]}\n".utf8
        try sink(part)
    }

    private static func metadata(_ name: ObjectName, _ more: String = "") -> String {
        #""metadata":{"name":"\#(name.name)","namespace":"\#(name.namespace)"\#(more)}"#
    }

    private static func json(_ service: Service) -> String {
        let addresses = service.clusterIPs.map { #""\#($0)""# }.joined(separator: ",")
        let ports = service.ports.map {
            #"{"name":"\#($0.name)","port":\#($0.port),"protocol":"TCP","targetPort":\#(targetPort)}"#
        }
        let affinity = service.affinityTimeout.map {
            #","sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":\#($0)}}"#
        }
        return #"{"apiVersion":"v1","kind":"Service",\#(metadata(service.name)),"spec":{"type":"ClusterIP","#
            + #""clusterIP":\#(addresses.isEmpty ? #""None""# : addresses),"clusterIPs":[\#(addresses)],"#
            + #""ports":[\#(ports.joined(separator: ","))]\#(affinity ?? "")}}"#
    }

    private static func json(_ slice: EndpointSlice) -> String {
        let endpoints = slice.endpoints.map { endpoint in
            let conditions =
                #"{"ready":\#(endpoint.isReady),"serving":\#(endpoint.isServing),"terminating":\#(endpoint.isTerminating)}"#
            let node = endpoint.nodeName.map { #","nodeName":"\#($0)""# } ?? ""
            return #"{"addresses":["\#(endpoint.address)"],"conditions":\#(conditions)\#(node)}"#
        }
        let ports = slice.ports.map { #"{"name":"\#($0.name)","port":\#($0.port),"protocol":"TCP"}"# }
        let label = #","labels":{"kubernetes.io/service-name":"\#(slice.service.name)"}"#
        return #"{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice",\#(metadata(slice.name, label)),"#
            + #""addressType":"IPv4","endpoints":[\#(endpoints.joined(separator: ","))],"#
            + #""ports":[\#(ports.joined(separator: ","))]}"#
    }
}
