import Documents
import ObjectReading

/// An event that says nothing one could go on from.
struct UnreadableEvent: Error {}

private enum EventType {
    static let added = "ADDED"
    static let modified = "MODIFIED"
    static let deleted = "DELETED"
    static let bookmark = "BOOKMARK"
    static let error = "ERROR"
}

extension ObjectDecoder {
    /// - Parameter frame: a `meta/v1 WatchEvent`.
    mutating func event(protobuf frame: UnsafeRawBufferPointer) throws -> WatchEvent {
        guard let typeBytes = try ProtobufFields.last(1, in: frame),
            let type = String(validating: typeBytes, as: UTF8.self), !type.isEmpty
        else { throw UnreadableEvent() }
        let envelope = {
            guard let `extension` = try ProtobufFields.last(2, in: frame),
                let raw = try ProtobufFields.last(1, in: `extension`)
            else { throw UnreadableEvent() }
            return try Envelope(raw)
        }
        switch type {
        case EventType.added, EventType.modified: return .upserted(object(try envelope()))
        case EventType.deleted: return .deleted(object(try envelope()))
        case EventType.bookmark:
            guard let bytes = try ProtobufFields.last(1, in: try envelope().object) else {
                throw UnreadableEvent()
            }
            return try bookmark(RawMetadata(decodeProtobuf(ProtoObjectMeta.self, bytes)))
        case EventType.error: return .error(try StatusError(protobuf: envelope()))
        default: return .unknown(type: type)
        }
    }

    private mutating func object(_ envelope: Envelope) -> DecodedObject {
        guard envelope.kind.isEmpty || envelope.kind == checker.kind.kind else {
            return checker.refused("an object of kind \(Text.quoted(envelope.kind))")
        }
        return protobuf(envelope.object)
    }

    /// - Parameter event: a `meta/v1 WatchEvent`.
    func event(json event: UnsafeRawBufferPointer) throws -> WatchEvent {
        switch checker.kind {
        case .services: try self.event(json: event, RawService.self)
        case .endpointSlices: try self.event(json: event, RawEndpointSlice.self)
        case .nodes: try self.event(json: event, RawNode.self)
        case .serviceCIDRs: try self.event(json: event, RawServiceCIDR.self)
        }
    }

    /// - Parameter event: a `meta/v1 WatchEvent` nested deeper than allowed.
    func event(tooDeepJSON event: UnsafeRawBufferPointer) throws -> WatchEvent {
        guard let object = JSONMetadata.member("object", of: event) else { throw UnreadableEvent() }
        let refused = tooDeep(json: object)
        // What can't be told from others, or where the watch would go on, only a list makes good.
        guard refused.key != nil, !refused.resourceVersion.isEmpty else { throw UnreadableEvent() }
        switch JSONMetadata.text("type", of: event).ifValid {
        case EventType.added, EventType.modified: return .upserted(refused)
        case EventType.deleted: return .deleted(refused)
        default: throw UnreadableEvent()
        }
    }

    private func event<Raw: RawObject>(
        json bytes: UnsafeRawBufferPointer, _: Raw.Type
    ) throws -> WatchEvent {
        let event = try decodeJSON(RawEvent<Raw>.self, bytes)
        guard let type = event.type.ifValid, !type.isEmpty else { throw UnreadableEvent() }
        switch type {
        case EventType.added, EventType.modified: return .upserted(object(event))
        case EventType.deleted: return .deleted(object(event))
        case EventType.bookmark:
            guard let metadata = event.object.ifValid?.metadata.ifValid else { throw UnreadableEvent() }
            return try bookmark(metadata)
        case EventType.error:
            let status = try decodeJSON(RawEvent<RawStatus>.self, bytes).object.ifValid
            guard let status, let error = StatusError(status) else { throw UnreadableEvent() }
            return .error(error)
        default: return .unknown(type: type)
        }
    }

    private func object<Raw: RawObject>(_ event: RawEvent<Raw>) -> DecodedObject {
        guard let raw = event.object.ifValid else { return checker.refused("it doesn't decode") }
        if let kind = event.kind, kind != Raw.kind {
            return checker.refused("an object of kind \(Text.quoted(kind))")
        }
        return checker.checked(raw)
    }

    private func bookmark(_ metadata: RawMetadata) throws -> WatchEvent {
        guard let version = metadata.resourceVersion.ifValid, !version.isEmpty else {
            throw UnreadableEvent()
        }
        let marker = metadata.annotations.ifValid?.initialEventsEnd.ifValid
        return .bookmark(resourceVersion: version, endsInitialEvents: marker == "true")
    }
}

private struct RawEvent<Object: Decodable & Sendable>: Decodable, Sendable {
    var type: Field<String>
    var object: Field<Object>
    /// The object's.
    var kind: String?

    private enum Key: CodingKey { case type, object }
    private struct Header: Decodable { var kind: Field<String> }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        type = try container.decode(Field<String>.self, forKey: .type)
        object = try container.decode(Field<Object>.self, forKey: .object)
        kind = try? container.decode(Header.self, forKey: .object).kind.ifValid
    }
}
