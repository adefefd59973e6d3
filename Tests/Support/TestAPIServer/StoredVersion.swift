internal import Foundation
internal import Synchronization

/// One version of an object, encoded when it is first asked for.
final class StoredVersion: Sendable {
    let object: APIObject
    let labels: [String: String]
    let uid: String
    /// `metadata.resourceVersion`
    let version: UInt64
    private let encoded = Mutex<[MediaType: [UInt8]]>([:])

    init(_ object: APIObject, uid: String, version: UInt64) {
        self.object = object
        labels = object.allLabels
        self.uid = uid
        self.version = version
    }

    /// The same content under another version, as a deletion has it.
    func restamped(_ version: UInt64) -> StoredVersion { StoredVersion(object, uid: uid, version: version) }

    /// The object as an item of a list: without `kind` and `apiVersion`.
    func item(_ type: MediaType) -> [UInt8] {
        encoded.withLock { encoded in
            if let bytes = encoded[type] { return bytes }
            let message = object.message(uid: uid, resourceVersion: version)
            let bytes = type == .protobuf ? message.protobuf : Array(message.json)
            encoded[type] = bytes
            return bytes
        }
    }

    /// The object on its own.
    func document(_ type: MediaType) -> [UInt8] {
        let resource = object.key.resource
        return Envelope.document(item(type), apiVersion: resource.apiVersion, kind: resource.kind, type)
    }
}

/// What a body is written in.
public enum MediaType: String, Sendable, Hashable, CaseIterable {
    case protobuf = "application/vnd.kubernetes.protobuf"
    case json = "application/json"
}

/// What surrounds objects on their way: Kubernetes' own envelope for protobuf, `kind` and `apiVersion` in JSON.
enum Envelope {
    /// `k8s` and a zero byte: what begins a protobuf body of Kubernetes (`pkg/runtime/serializer/protobuf`).
    private static let magic: [UInt8] = [0x6b, 0x38, 0x73, 0x00]

    static func document(_ item: [UInt8], apiVersion: String, kind: String, _ type: MediaType) -> [UInt8] {
        switch type {
        case .protobuf:
            var typeMeta = ProtobufWriter()
            typeMeta.delimited(1, apiVersion.utf8)
            typeMeta.delimited(2, kind.utf8)
            var unknown = ProtobufWriter()
            unknown.delimited(1, typeMeta.bytes)
            unknown.delimited(2, item)
            unknown.delimited(3, [])
            unknown.delimited(4, [])
            return magic + unknown.bytes
        case .json:
            let head = #"{"kind":"\#(kind)","apiVersion":"\#(apiVersion)""#
            return Array(head.utf8)
                + (item.count > 2 ? [UInt8(ascii: ",")] + item.dropFirst() : item.dropFirst())
        }
    }

    /// A frame of a watch: in protobuf the length in four bytes, big-endian, and the event; in JSON the event and a
    /// line feed.
    static func frame(_ type: String, _ document: [UInt8], _ mediaType: MediaType) -> [UInt8] {
        switch mediaType {
        case .protobuf:
            var raw = ProtobufWriter()
            raw.delimited(1, document)
            var event = ProtobufWriter()
            event.delimited(1, type.utf8)
            event.delimited(2, raw.bytes)
            return bigEndian(UInt32(event.bytes.count)) + event.bytes
        case .json:
            return Array(#"{"type":"\#(type)","object":"#.utf8) + document + Array("}\n".utf8)
        }
    }

    static func bigEndian(_ value: UInt32) -> [UInt8] {
        stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    /// - Parameter remaining: `metadata.remainingItemCount`.
    static func list(
        _ items: some Collection<StoredVersion>, of resource: APIResource, version: UInt64,
        continueToken: String, remaining: Int?, _ type: MediaType
    ) -> [UInt8] {
        var metadata = APIMessage()
        metadata.addPlain(1, "selfLink", .string(""))
        metadata.add(2, "resourceVersion", .string("\(version)"))
        metadata.addPlain(3, "continue", .string(continueToken))
        metadata.add(4, "remainingItemCount", remaining.map { .integer(Int64($0)) })
        var body: [UInt8] = []
        switch type {
        case .protobuf:
            var list = ProtobufWriter()
            list.delimited(1, metadata.protobuf)
            for item in items { list.delimited(2, item.item(.protobuf)) }
            body = list.bytes
        case .json:
            body += Array(#"{"metadata":"#.utf8) + metadata.json + Array(#","items":["#.utf8)
            for (index, item) in items.enumerated() {
                if index > 0 { body.append(UInt8(ascii: ",")) }
                body += item.item(.json)
            }
            body += Array("]}".utf8)
        }
        return document(body, apiVersion: resource.apiVersion, kind: "\(resource.kind)List", type)
    }
}
