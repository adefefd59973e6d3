import KubernetesWire

/// What a reflector asks the server.
struct ReflectorRequest: Sendable, Equatable {
    enum Purpose: Sendable, Equatable {
        /// A page of a list; nil version: whatever is newest.
        case list(version: String, limit: Int, continueToken: String?)
        /// Changes after a version.
        case watch(version: String, seconds: Int)
        /// All objects as a stream, then changes.
        case stream(version: String, seconds: Int)
    }

    var purpose: Purpose
    var labelSelector: String?
    var fieldSelector: String?
    /// When to end it from this side, counted from its start; nil: never.
    var deadline: Duration?

    var isList: Bool { if case .list = purpose { true } else { false } }
    /// What it is for, as in RBAC; a stream that may not be watched is listed, and is told of as a list.
    var verb: String { if case .watch = purpose { "watch" } else { "list" } }

    var query: [(name: String, value: String)] {
        var query: [(name: String, value: String)] = []
        switch purpose {
        case .list(let version, let limit, let token):
            if limit > 0 { query.append(("limit", "\(limit)")) }
            if let token {
                // A page after the first is of the version of the first; naming one is an error.
                query.append(("continue", token))
            } else if !version.isEmpty {
                query.append(("resourceVersion", version))
            }
        case .watch(let version, let seconds):
            query += [
                ("watch", "true"), ("allowWatchBookmarks", "true"), ("resourceVersion", version),
                ("timeoutSeconds", "\(seconds)"),
            ]
        case .stream(let version, let seconds):
            query += [
                ("watch", "true"), ("allowWatchBookmarks", "true"), ("sendInitialEvents", "true"),
                ("resourceVersionMatch", "NotOlderThan"), ("timeoutSeconds", "\(seconds)"),
            ]
            if !version.isEmpty { query.append(("resourceVersion", version)) }
        }
        if let labelSelector { query.append(("labelSelector", labelSelector)) }
        if let fieldSelector { query.append(("fieldSelector", fieldSelector)) }
        return query
    }
}

/// Which objects of a kind are asked for: kube-proxy's selectors (cmd/kube-proxy/app/server.go).
struct Selector: Sendable, Equatable {
    var label: String?
    var field: String?

    init(_ kind: ResourceKind, nodeName: String) {
        switch kind {
        case .services:
            label = "!service.kubernetes.io/service-proxy-name"
            field = "spec.clusterIP!=None"
        case .endpointSlices: label = "!service.kubernetes.io/headless"
        case .nodes: field = "metadata.name=\(nodeName)"
        case .serviceCIDRs: break
        }
    }
}
