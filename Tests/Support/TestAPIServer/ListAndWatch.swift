internal import Foundation

/// What lists and watches begin with: the parameters of `meta/v1.ListOptions`, and what the API server makes of them.
extension TestAPIServer {
    func resource(of request: ReceivedRequest) throws(APIStatus) -> APIResource {
        guard let resource = request.knownResource,
            resource != .serviceCIDRs || configuration.hasServiceCIDRs,
            resource.isNamespaced || request.namespace == nil
        else { throw APIStatus(code: 404) }
        return resource
    }

    /// One object.
    func document(_ request: ReceivedRequest, _ type: MediaType) throws(APIStatus) -> [UInt8] {
        let resource = try resource(of: request)
        let selection = try request.selection(takesClusterIP: configuration.selectsByClusterIP)
        guard let found = store.snapshot(resource)?.1.first(where: selection.contains) else {
            let name = request.name ?? ""
            throw APIStatus(
                code: 404, reason: "NotFound", message: "\(request.resource) \"\(name)\" not found")
        }
        return found.document(type)
    }

    /// A whole list, or a page of one.
    func list(_ request: ReceivedRequest, _ type: MediaType, fault: Fault?) throws(APIStatus) -> [UInt8] {
        let resource = try resource(of: request)
        let selection = try request.selection(takesClusterIP: configuration.selectsByClusterIP)
        let requested = request.query["resourceVersion"] ?? ""
        var limit = Int(request.query["limit"] ?? "") ?? 0
        var (version, objects): (UInt64, [StoredVersion])
        var after: Place?
        if let token = request.query["continue"], !token.isEmpty {
            guard requested.isEmpty || requested == "0" else {
                throw .badRequest("specifying resource version is not allowed when using continue")
            }
            guard let token = ContinueToken(token) else { throw .badRequest("continue key is not valid") }
            after = token.after
            guard let known = store.snapshot(resource, at: token.version) else {
                throw .continueTooOld(next: ContinueToken(version: nil, after: token.after).text)
            }
            (version, objects) = known
        } else {
            if requested == "0", configuration.ignoresLimitAtZero { limit = 0 }
            (version, objects) = try state(of: resource, request, requested, fault)
        }
        objects = objects.filter(selection.contains)
        if let after { objects = Array(objects.drop { $0.object.key.place <= after }) }
        if limit > 0 { limit = min(limit, configuration.longestPage) }
        guard limit > 0, objects.count > limit else {
            let key = WholeList(
                resource: resource, version: version, selection: selection, after: after, type: type)
            return wholeList(key) {
                Envelope.list(
                    objects, of: resource, version: version, continueToken: "", remaining: nil, type)
            }
        }
        let page = objects[..<limit]
        let token = ContinueToken(version: version, after: objects[limit - 1].object.key.place)
        return Envelope.list(
            page, of: resource, version: version, continueToken: token.text,
            remaining: selection.isFiltered ? nil : objects.count - limit, type)
    }

    /// The state that a list without a token is of.
    private func state(
        of resource: APIResource, _ request: ReceivedRequest, _ requested: String, _ fault: Fault?
    ) throws(APIStatus) -> (UInt64, [StoredVersion]) {
        let current = store.version
        let match = request.query["resourceVersionMatch"]
        if match != nil, requested.isEmpty {
            throw .invalid("resourceVersionMatch is forbidden unless resourceVersion is provided")
        }
        if requested.isEmpty || requested == "0" {
            if case .stale(let changes) = fault, requested == "0",
                let old = store.snapshot(resource, at: current - min(changes, current))
            {
                return old
            }
            return store.snapshot(resource) ?? (current, [])
        }
        guard let wanted = UInt64(requested) else {
            throw .badRequest("invalid resource version: \(requested)")
        }
        guard wanted <= current else { throw .tooNew(wanted, current: current) }
        guard match == "Exact" else { return store.snapshot(resource) ?? (current, []) }
        guard let exact = store.snapshot(resource, at: wanted) else { throw .tooOld(wanted) }
        return exact
    }

    /// Where a watch begins, and what it tells before.
    func startOfWatch(
        _ request: ReceivedRequest, _ resource: APIResource
    ) throws(APIStatus) -> (selection: ObjectSelection, version: UInt64, initial: [StoredVersion]?) {
        let selection = try request.selection(takesClusterIP: configuration.selectsByClusterIP)
        let requested = request.query["resourceVersion"] ?? ""
        let match = request.query["resourceVersionMatch"]
        if request.query["sendInitialEvents"] != nil {
            guard configuration.streamsInitialEvents else {
                throw .invalid(
                    "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
            }
            guard match == "NotOlderThan" else {
                throw .invalid("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
            }
        } else if match != nil {
            throw .invalid("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
        }
        if request.wantsInitialEvents {
            guard ["1", "true"].contains(request.query["allowWatchBookmarks"]) else {
                throw .invalid("sendInitialEvents requires setting allowWatchBookmarks to true")
            }
            if let wanted = UInt64(requested), wanted > store.version {
                throw .tooNew(wanted, current: store.version)
            }
            let (version, objects) = store.snapshot(resource) ?? (store.version, [])
            return (selection, version, objects.filter(selection.contains))
        }
        // Without a version a watch tells of all there is, as client-go's oldest ones relied on.
        if requested.isEmpty || requested == "0", request.query["sendInitialEvents"] != "false" {
            let (version, objects) = store.snapshot(resource) ?? (store.version, [])
            return (selection, version, objects.filter(selection.contains))
        }
        guard let version = requested.isEmpty ? store.version : UInt64(requested) else {
            throw .badRequest("invalid resource version: \(requested)")
        }
        guard version <= store.version else { throw .tooNew(version, current: store.version) }
        // One that is too old gets its 410 as the stream's first event, as from the watch cache.
        return (selection, version, nil)
    }
}

/// What the body of a list without a next page depends on.
struct WholeList: Hashable {
    var resource: APIResource
    var version: UInt64
    var selection: ObjectSelection
    var after: Place?
    var type: MediaType
}

/// Where a list goes on: opaque to clients.
private struct ContinueToken: Codable {
    /// nil: with what is newest.
    var version: UInt64?
    var namespace: String
    var name: String

    init(version: UInt64?, after: Place) {
        self.version = version
        namespace = after.namespace
        name = after.name
    }

    init?(_ text: String) {
        guard let data = Data(base64Encoded: text),
            let token = try? JSONDecoder().decode(Self.self, from: data)
        else { return nil }
        self = token
    }

    var after: Place { Place(namespace: namespace, name: name) }

    /// The same token for the same place.
    private static let encoder: JSONEncoder = {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return encoder
    }()

    var text: String { (try? Self.encoder.encode(self).base64EncodedString()) ?? "" }
}
