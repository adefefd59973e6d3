import Documents
import KubernetesAPI
import ObjectReading

/// Checks raw objects of one kind, and tells what became of them.
struct ObjectChecker: Sendable {
    let kind: ResourceKind
    let source: String
    private let interner: Interner

    init(_ kind: ResourceKind, source: String, interner: Interner) {
        self.kind = kind
        // It comes from a configuration, and a problem is one line.
        self.source = Text.isPlain(source, limit: 4096) ? source : Text.quoted(source)
        self.interner = interner
    }

    /// An object that isn't one of the kind, with what is known of its metadata.
    func refused(_ what: String, _ metadata: RawMetadata = RawMetadata()) -> DecodedObject {
        let key = key(metadata)
        let message = "\(what); this \(kind.kind) is passed over"
        return DecodedObject(
            key: key, content: .refused, resourceVersion: metadata.resourceVersion.ifValid ?? "",
            problems: [
                ObjectProblem(
                    source: source, subject: key.map(Self.subject) ?? .kind(kind.kind), message: message)
            ])
    }

    /// Nobody has checked its name, and a problem is one line.
    private static func subject(_ key: ClusterObject.Key) -> ObjectProblem.Subject {
        let words = key.description
        return Text.isPlain(words, limit: 512) ? .object(key) : .named(Text.quoted(words))
    }

    func checked<Raw: RawObject>(_ raw: Raw) -> DecodedObject {
        checked(raw) { raw, reader in raw.read(&reader) }
    }

    func checked<Raw: RawObject>(
        _ raw: Raw, _ read: (Raw, inout ObjectReader) -> Verdict
    ) -> DecodedObject {
        var reader = ObjectReader(kind: Raw.kind, origin: .apiServer, interner: interner)
        let verdict = read(raw, &reader)
        let metadata = raw.metadata.ifValid ?? RawMetadata()
        var result = DecodedObject(
            key: nil, content: .refused, resourceVersion: metadata.resourceVersion.ifValid ?? "",
            problems: reader.findings.map { finding in
                let field = finding.field.description
                return ObjectProblem(
                    source: source, subject: finding.subject, field: field.isEmpty ? nil : field,
                    message: finding.message)
            })
        switch verdict {
        case .objects(let objects):
            guard let object = objects.first else { break }
            result.content = .object(object)
            result.key = object.key
        case .skipped: result.content = .passedOver
        case .refused: break
        }
        if result.key == nil { result.key = key(metadata) }
        result.triggerTime = metadata.annotations.ifValid?.lastChangeTriggerTime.ifValid?.sinceEpoch
        return result
    }

    /// Nil without a name. One that breaks the rules is a name still: two objects never share it.
    private func key(_ metadata: RawMetadata) -> ClusterObject.Key? {
        guard let name = metadata.name.ifValid, !name.isEmpty else { return nil }
        let namespace = metadata.namespace.ifValid ?? ""
        let namespaced = ObjectName(namespace: namespace.isEmpty ? "default" : namespace, name: name)
        return switch kind {
        case .services: .service(namespaced)
        case .endpointSlices: .endpointSlice(namespaced)
        case .nodes: .node(name)
        case .serviceCIDRs: .serviceCIDR(name)
        }
    }
}
