import IPAddressing
import TestNetwork

/// Manifests as users write them.
enum ManifestText {
    /// A Service `default/<name>` of both families, port 80 to 8080.
    static func service(_ name: String, at addresses: [IPAddress], affinity: UInt32? = nil) -> String {
        var text = """
            apiVersion: v1
            kind: Service
            metadata:
              name: \(name)
              namespace: default
            spec:
              type: ClusterIP
              clusterIP: "\(addresses.first.map { "\($0)" } ?? "None")"
              clusterIPs: [\(addresses.map { "\"\($0)\"" }.joined(separator: ", "))]
              ports:
                - {name: http, protocol: TCP, port: 80, targetPort: 8080}
                - {name: dgram, protocol: UDP, port: 80, targetPort: 8080}

            """
        if let affinity {
            text += "  sessionAffinity: ClientIP\n"
            text += "  sessionAffinityConfig: {clientIP: {timeoutSeconds: \(affinity)}}\n"
        }
        return text
    }

    /// A slice for each family.
    static func slices(of service: String, _ pods: [TestCluster.Host]) -> String {
        AddressFamily.allCases.map { family in
            let endpoints = pods.map { pod in
                "  - {addresses: [\"\(pod.address(family))\"], conditions: {ready: true}"
                    + (pod.node.map { ", nodeName: \($0)" } ?? "") + "}\n"
            }
            return """
                apiVersion: discovery.k8s.io/v1
                kind: EndpointSlice
                metadata:
                  name: \(service)-ipv\(family.rawValue)
                  namespace: default
                  labels: {kubernetes.io/service-name: \(service)}
                addressType: IPv\(family.rawValue)
                ports:
                  - {name: http, protocol: TCP, port: 8080}
                  - {name: dgram, protocol: UDP, port: 8080}
                endpoints:\(endpoints.isEmpty ? " []" : "")

                """ + endpoints.joined()
        }.joined(separator: "---\n")
    }
}
