import HTTPServing
import KubernetesAPI
import Synchronization

/// What the server of one port answers; written by the actor, read by connections.
final class CheckedService: Sendable {
    struct Content: Sendable, Equatable {
        var service: ObjectName
        /// The Service's endpoints on this node that get its traffic.
        var localEndpoints: Int
    }

    private let content: Mutex<Content>
    private let isProxyHealthy: @Sendable () -> Bool

    init(_ content: Content, isProxyHealthy: @escaping @Sendable () -> Bool) {
        self.content = Mutex(content)
        self.isProxyHealthy = isProxyHealthy
    }

    var current: Content {
        get { content.withLock { $0 } }
        set { content.withLock { $0 = newValue } }
    }

    var answer: HTTPAnswer { Answer(current, isProxyHealthy: isProxyHealthy()).http }
}

/// The answer to one request, before it is HTTP.
struct Answer: Sendable, Equatable {
    /// True for 200, false for 503.
    let isServing: Bool
    /// How many endpoints a connection to this node can reach: what a load balancer may weigh nodes by.
    let weight: Int
    let body: String

    init(_ content: CheckedService.Content, isProxyHealthy: Bool) {
        isServing = content.localEndpoints > 0 && isProxyHealthy
        weight = content.localEndpoints
        let namespace = Self.quoted(content.service.namespace)
        let name = Self.quoted(content.service.name)
        body =
            #"{"service":{"namespace":\#(namespace),"name":\#(name)},"#
            + #""localEndpoints":\#(content.localEndpoints),"serviceProxyHealthy":\#(isProxyHealthy)}"#
    }

    var http: HTTPAnswer {
        var answer = HTTPAnswer.json(body, status: isServing ? 200 : 503)
        answer.fields.append(.init("X-Load-Balancing-Endpoint-Weight", "\(weight)"))
        return answer
    }

    /// A JSON string (RFC 8259, section 7). Names that the API server lets through need no escape.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case ..<" ":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
