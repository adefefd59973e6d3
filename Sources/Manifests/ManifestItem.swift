import Documents
import KubernetesAPI
import ObjectReading

extension CodingUserInfoKey {
    /// The `Interner` of the parse that a decoder works for.
    static let interner = CodingUserInfoKey(rawValue: "sluice.interner")
}

/// One value of a manifest file with `apiVersion` and `kind`: an object, or a List with all in it.
///
/// Objects are checked while the file is decoded, each as it passes, so that the raw form of no more
/// than one of them is in memory at a time.
struct ManifestItem: Decodable, Sendable {
    /// One object of the manifest that is in order; an Endpoints object may be several slices.
    struct Entry: Sendable {
        var subject: ObjectProblem.Subject
        var kind: String
        var path: FieldPath
        var objects: [ClusterObject]
    }

    var entries: [Entry] = []
    var findings: [Finding] = []
    /// The objects that were refused as a whole.
    var refused: [ObjectProblem.Subject] = []
    var skipped: [String: Int] = [:]

    init() {}

    init(from decoder: any Decoder) throws {
        do {
            try self.init(dispatching: decoder)
        } catch {
            self.init()
            findings = [
                Finding(field: .root, message: "not a Kubernetes object; it is passed over")
            ]
        }
    }

    private init(dispatching decoder: any Decoder) throws {
        self.init()
        let header = try Header(from: decoder)
        guard let kind = required(header.kind, "kind"),
            let apiVersion = required(header.apiVersion, "apiVersion")
        else { return }
        switch (apiVersion, kind) {
        case (RawService.apiVersion, RawService.kind): add(try RawService(from: decoder), decoder)
        case (RawEndpointSlice.apiVersion, RawEndpointSlice.kind):
            add(try RawEndpointSlice(from: decoder), decoder)
        case (RawEndpoints.apiVersion, RawEndpoints.kind): add(try RawEndpoints(from: decoder), decoder)
        case (RawNode.apiVersion, RawNode.kind): add(try RawNode(from: decoder), decoder)
        case (RawServiceCIDR.apiVersion, RawServiceCIDR.kind):
            add(try RawServiceCIDR(from: decoder), decoder)
        case ("v1", "List"): addItems(decoder, of: ManifestItem.self) { $0 }
        case (RawService.apiVersion, RawService.kind + "List"): addItems(decoder, of: RawService.self)
        case (RawEndpointSlice.apiVersion, RawEndpointSlice.kind + "List"):
            addItems(decoder, of: RawEndpointSlice.self)
        case (RawEndpoints.apiVersion, RawEndpoints.kind + "List"):
            addItems(decoder, of: RawEndpoints.self)
        case (RawNode.apiVersion, RawNode.kind + "List"): addItems(decoder, of: RawNode.self)
        case (RawServiceCIDR.apiVersion, RawServiceCIDR.kind + "List"):
            addItems(decoder, of: RawServiceCIDR.self)
        default:
            // Without its version, a `Service` of another API group would look like one of ours.
            let isOurs = Self.ourKinds.contains(kind)
            let label = isOurs ? "\(kind) of \(apiVersion)" : kind
            skipped[Text.isPlain(label) ? label : Text.quoted(label), default: 0] += 1
        }
    }

    private static let ourKinds: Set<String> = [
        RawService.kind, RawEndpointSlice.kind, RawEndpoints.kind, RawNode.kind, RawServiceCIDR.kind,
    ]

    private struct Header: Decodable {
        var apiVersion: Field<String>
        var kind: Field<String>
    }

    private mutating func required(_ field: Field<String>, _ name: String) -> String? {
        let what: String
        switch field {
        case .value(let value) where !value.isEmpty: return value
        case .wrong(let found): what = "\(found) is not a string"
        case .absent, .null, .value: what = "missing"
        }
        findings.append(
            Finding(field: .root[name], message: "\(what); this object is passed over"))
        return nil
    }

    private mutating func add<Raw: RawObject>(_ raw: Raw, _ decoder: any Decoder) {
        let interner = CodingUserInfoKey.interner.flatMap { decoder.userInfo[$0] as? Interner }
        var reader = ObjectReader(kind: Raw.kind, origin: .manifest, interner: interner ?? Interner())
        switch raw.read(&reader) {
        case .objects(let objects):
            entries.append(
                Entry(subject: reader.subject, kind: Raw.kind, path: .root, objects: objects))
        case .refused:
            refused.append(reader.subject)
        case .skipped(let reason):
            skipped[reason, default: 0] += 1
        }
        findings += reader.findings
    }

    private mutating func addItems<Raw: RawObject>(_ decoder: any Decoder, of: Raw.Type) {
        addItems(decoder, of: Field<Raw>.self) { field in
            var item = ManifestItem()
            if case .value(let raw) = field {
                item.add(raw, decoder)
            } else {
                let message = "not a \(Raw.kind); it is passed over"
                item.findings = [Finding(field: .root, message: message)]
            }
            return item
        }
    }

    private mutating func addItems<Element: Decodable>(
        _ decoder: any Decoder, of: Element.Type, _ read: (Element) -> ManifestItem
    ) {
        let path = FieldPath.root["items"]
        // The decoder recurses; lists in lists beyond this are no real file.
        guard decoder.codingPath.count < 16 else {
            let message = "lists in lists too deep; this one is passed over"
            findings.append(Finding(field: path, message: message))
            return
        }
        do {
            let container = try decoder.container(keyedBy: ListKey.self)
            guard container.contains(.items), try !container.decodeNil(forKey: .items) else { return }
            var items = try container.nestedUnkeyedContainer(forKey: .items)
            var index = 0
            while !items.isAtEnd {
                append(read(try items.decode(Element.self)), at: path[index])
                index += 1
            }
        } catch {
            findings.append(
                Finding(field: path, message: "not a list; this List is passed over"))
        }
    }

    private enum ListKey: CodingKey { case items }

    private mutating func append(_ item: ManifestItem, at path: FieldPath) {
        entries += item.entries.lazy.map { entry in
            var entry = entry
            entry.path = path + entry.path
            return entry
        }
        findings += item.findings.lazy.map { finding in
            var finding = finding
            finding.prefix = path + finding.prefix
            return finding
        }
        refused += item.refused
        skipped.merge(item.skipped, uniquingKeysWith: +)
    }
}
