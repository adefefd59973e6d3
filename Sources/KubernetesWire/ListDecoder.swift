import Documents
public import ObjectReading
import SwiftProtobuf

/// What a list says beside its items (`v1.ListMeta`).
public struct ListMetadata: Sendable, Equatable {
    /// Where a watch starts from; never empty.
    public var resourceVersion: String
    /// `continue`: asks for the next page; nil on the last.
    public var continueToken: String?
    public var remainingItemCount: Int?

    public init(resourceVersion: String, continueToken: String? = nil, remainingItemCount: Int? = nil) {
        self.resourceVersion = resourceVersion
        self.continueToken = continueToken
        self.remainingItemCount = remainingItemCount
    }
}

/// Decodes the body of one list (a page of it, when the answer is paged) while it arrives.
///
/// Each item is handed out as soon as its last byte is there; no more than one is held.
public struct ListDecoder: Sendable {
    private enum Splitter {
        case protobuf(ProtobufListSplitter)
        case json(JSONListSplitter)
    }

    private var splitter: Splitter
    private var parts: Parts
    /// Bytes of the body so far.
    private var size = 0

    /// - Parameters:
    ///   - source: names the API server in problems.
    ///   - interner: shared by the decoders of one process, names that repeat are in memory once.
    public init(
        _ kind: ResourceKind, _ encoding: BodyEncoding, source: String, interner: Interner = Interner()
    ) {
        splitter =
            switch encoding {
            case .protobuf: .protobuf(ProtobufListSplitter(kind: kind.listKind))
            case .json: .json(JSONListSplitter(kind: kind.listKind))
            }
        parts = Parts(decoder: ObjectDecoder(kind, source: source, interner: interner), metadata: nil)
    }

    /// Takes the next bytes of the body, in chunks of any size; hands out each item they complete.
    /// - Throws: `WireError` when the body can't be read on; the decoder is then of no more use.
    public mutating func consume(
        _ bytes: UnsafeRawBufferPointer, _ each: (DecodedObject) -> Void
    ) throws(WireError) {
        size += bytes.count
        switch splitter {
        case .protobuf(var splitter):
            // What is moved out of an enum and back isn't copied.
            self.splitter = .json(JSONListSplitter(kind: ""))
            try splitter.consume(bytes) { part, bytes, offset throws(WireError) in
                try parts.take(part, bytes, at: offset, each)
            }
            self.splitter = .protobuf(splitter)
        case .json(var splitter):
            self.splitter = .json(JSONListSplitter(kind: ""))
            try splitter.consume(bytes) { part, bytes, offset throws(WireError) in
                try parts.take(part, bytes, at: offset, each)
            }
            self.splitter = .json(splitter)
        }
    }

    /// Ends the body.
    /// - Throws: `WireError` when the body isn't complete.
    public mutating func finish() throws(WireError) -> ListMetadata {
        switch splitter {
        case .protobuf(let splitter): try splitter.finish()
        case .json(let splitter): try splitter.finish()
        }
        guard let metadata = parts.metadata, !metadata.resourceVersion.isEmpty else {
            throw parts.error("a list without metadata.resourceVersion", at: size)
        }
        return metadata
    }
}

/// What becomes of the parts of a list.
private struct Parts: Sendable {
    var decoder: ObjectDecoder
    var metadata: ListMetadata?

    mutating func take(
        _ part: ProtobufListSplitter.Part, _ bytes: UnsafeRawBufferPointer, at offset: Int,
        _ each: (DecodedObject) -> Void
    ) throws(WireError) {
        switch part {
        case .item: each(decoder.protobuf(bytes))
        case .typeMeta:
            guard let kind = try? decodeProtobuf(ProtoTypeMeta.self, bytes).kind else {
                throw error("its type doesn't decode", at: offset)
            }
            try check(kind: kind, at: offset)
        case .contentEncoding:
            guard bytes.isEmpty else {
                throw error("its content is encoded, which Kubernetes never does", at: offset)
            }
        case .metadata:
            guard let meta = try? decodeProtobuf(ProtoListMeta.self, bytes) else {
                throw error("its metadata doesn't decode", at: offset)
            }
            metadata = ListMetadata(
                resourceVersion: meta.resourceVersion,
                continueToken: meta.continue.isEmpty ? nil : meta.continue,
                remainingItemCount: meta.hasRemainingItemCount ? Int(meta.remainingItemCount) : nil)
        }
    }

    mutating func take(
        _ part: JSONListSplitter.Part, _ bytes: UnsafeRawBufferPointer, at offset: Int,
        _ each: (DecodedObject) -> Void
    ) throws(WireError) {
        switch part {
        case .item(let tooDeep):
            each(tooDeep ? decoder.tooDeep(json: bytes) : decoder.json(bytes))
        case .kind:
            guard let kind = try? decodeJSON(String.self, bytes) else {
                throw error("its kind is not a string", at: offset)
            }
            try check(kind: kind, at: offset)
        case .metadata:
            guard let meta = try? decodeJSON(RawListMetadata.self, bytes) else {
                throw error("its metadata doesn't decode", at: offset)
            }
            let token = meta.continue.ifValid ?? ""
            metadata = ListMetadata(
                resourceVersion: meta.resourceVersion.ifValid ?? "",
                continueToken: token.isEmpty ? nil : token,
                remainingItemCount: meta.remainingItemCount.ifValid)
        }
    }

    private func check(kind: String, at offset: Int) throws(WireError) {
        guard kind == decoder.checker.kind.listKind else {
            throw error("a body of kind \(Text.quoted(kind))", at: offset)
        }
    }

    func error(_ message: String, at offset: Int) -> WireError {
        WireError(kind: decoder.checker.kind.listKind, offset: offset, message: message)
    }
}

private struct RawListMetadata: Decodable {
    var resourceVersion: Field<String>
    var `continue`: Field<String>
    var remainingItemCount: Field<Int>
}
