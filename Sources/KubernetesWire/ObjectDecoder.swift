import Foundation
import KubernetesAPI
import ObjectReading
import SwiftProtobuf

/// Decodes and checks single objects of one kind, in either encoding.
struct ObjectDecoder: Sendable {
    let checker: ObjectChecker
    private var endpoints: EndpointFields

    init(_ kind: ResourceKind, source: String, interner: Interner) {
        checker = ObjectChecker(kind, source: source, interner: interner)
        endpoints = EndpointFields(interner: interner)
    }

    // MARK: Protobuf

    /// - Parameter bytes: the object's message, without `k8s\0` and envelope.
    mutating func protobuf(_ bytes: UnsafeRawBufferPointer) -> DecodedObject {
        do {
            switch checker.kind {
            case .services: return checker.checked(RawService(try message(bytes)))
            case .nodes: return checker.checked(RawNode(try message(bytes)))
            case .serviceCIDRs: return checker.checked(RawServiceCIDR(try message(bytes)))
            case .endpointSlices: return try slice(bytes)
            }
        } catch {
            return checker.refused("it doesn't decode", Self.metadata(of: bytes))
        }
    }

    private mutating func slice(_ bytes: UnsafeRawBufferPointer) throws -> DecodedObject {
        let raw = RawEndpointSlice(try message(bytes))
        var failure: ProtobufFields.Malformed?
        let checker = checker
        let object = checker.checked(raw) { raw, reader in
            raw.read(&reader) { family, reader in
                do throws(ProtobufFields.Malformed) {
                    return try endpoints.read(slice: bytes, family, &reader)
                } catch {
                    failure = error
                    return []
                }
            }
        }
        if let failure { throw failure }
        return object
    }

    private func message<M: SwiftProtobuf.Message>(_ bytes: UnsafeRawBufferPointer) throws -> M {
        try decodeProtobuf(M.self, bytes)
    }

    /// Name and resource version, as far as they can be told, of a message that doesn't decode.
    private static func metadata(of object: UnsafeRawBufferPointer) -> RawMetadata {
        var result = RawMetadata()
        guard let meta = try? firstMetadata(object) else { return result }
        var fields = ProtobufFields(meta)
        while let tag = try? fields.next() {
            switch tag {
            case .bytes(1): result.name = text(&fields)
            case .bytes(3): result.namespace = text(&fields)
            case .bytes(6): result.resourceVersion = text(&fields)
            default: guard (try? fields.skip(tag)) != nil else { return result }
            }
        }
        return result
    }

    /// What is behind it in the object may be broken.
    private static func firstMetadata(
        _ object: UnsafeRawBufferPointer
    ) throws(ProtobufFields.Malformed) -> UnsafeRawBufferPointer? {
        var fields = ProtobufFields(object)
        while let tag = try fields.next() {
            if tag == .bytes(1) { return try fields.lengthDelimited() }
            try fields.skip(tag)
        }
        return nil
    }

    private static func text(_ fields: inout ProtobufFields) -> Field<String> {
        guard let bytes = try? fields.lengthDelimited() else { return .absent }
        return Field(utf8: bytes)
    }

    // MARK: JSON

    func json(_ bytes: UnsafeRawBufferPointer) -> DecodedObject {
        switch checker.kind {
        case .services: json(bytes, RawService.self)
        case .endpointSlices: json(bytes, RawEndpointSlice.self)
        case .nodes: json(bytes, RawNode.self)
        case .serviceCIDRs: json(bytes, RawServiceCIDR.self)
        }
    }

    private func json<Raw: RawObject>(_ bytes: UnsafeRawBufferPointer, _: Raw.Type) -> DecodedObject {
        guard let raw = try? decodeJSON(Raw.self, bytes) else {
            return checker.refused("it doesn't decode", JSONMetadata.metadata(of: bytes))
        }
        return checker.checked(raw)
    }

    /// An object nested deeper than allowed.
    func tooDeep(json bytes: UnsafeRawBufferPointer) -> DecodedObject {
        checker.refused("nested deeper than \(depthLimit) levels", JSONMetadata.metadata(of: bytes))
    }
}

/// Decodes a message without the fields that aren't read.
func decodeProtobuf<M: SwiftProtobuf.Message>(_: M.Type, _ bytes: UnsafeRawBufferPointer) throws -> M {
    var options = BinaryDecodingOptions()
    options.discardUnknownFields = true
    return try M(serializedBytes: borrowed(bytes), options: options)
}

/// Decodes JSON that lies elsewhere.
func decodeJSON<Value: Decodable>(_ type: Value.Type, _ bytes: UnsafeRawBufferPointer) throws -> Value {
    try JSONDecoder().decode(type, from: borrowed(bytes))
}

/// Valid as long as the bytes are. Neither decoder keeps it, or writes to it.
private func borrowed(_ bytes: UnsafeRawBufferPointer) -> Data {
    guard let start = bytes.baseAddress else { return Data() }
    return Data(
        bytesNoCopy: UnsafeMutableRawPointer(mutating: start), count: bytes.count, deallocator: .none)
}
