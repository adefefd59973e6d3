import IPAddressing
import KubernetesAPI
import Manifests

/// What a good Service manifest looks like, with lines of `spec` and more to add.
func serviceYAML(
    _ name: String = "web", ip: String? = "10.96.0.10", spec: String = "", tail: String = ""
) -> String {
    var text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: \(name)\nspec:\n"
    if let ip { text += "  clusterIP: \(ip)\n" }
    text += spec.isEmpty ? "  ports:\n  - port: 80\n" : spec
    return text + tail
}

func sliceYAML(
    _ name: String = "web-1", service: String = "web", type: String = "IPv4",
    endpoints: String = "- addresses: [10.0.0.1]\n", ports: String = "- name: ''\n  port: 8080\n"
) -> String {
    """
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata:
      name: \(name)
      labels: {kubernetes.io/service-name: \(service)}
    addressType: \(type)
    endpoints:
    \(endpoints)ports:
    \(ports)
    """
}

/// The lines a log would have.
func lines(_ text: String) -> [String] {
    ManifestParser.parse(text, source: "f.yaml").problems.map(\.description)
}

extension ParsedManifest {
    var services: [Service] {
        objects.compactMap { if case .service(let service) = $0 { service } else { nil } }
    }
    var slices: [EndpointSlice] {
        objects.compactMap { if case .endpointSlice(let slice) = $0 { slice } else { nil } }
    }
}

func parse(_ text: String) -> ParsedManifest { ManifestParser.parse(text, source: "f.yaml") }

func ip(_ text: String) throws -> IPAddress { try required(IPAddress(text)) }

struct Missing: Error {}

func required<T>(_ value: T?) throws -> T {
    guard let value else { throw Missing() }
    return value
}
