import IPAddressing
import KubernetesWire
import WireBodies

struct Missing: Error {}

func required<T>(_ value: T?) throws -> T {
    guard let value else { throw Missing() }
    return value
}

func ip(_ text: String) throws -> IPAddress { try required(IPAddress(text)) }

struct DecodedList: Equatable {
    var objects: [DecodedObject] = []
    var metadata: ListMetadata?
}

let source = "https://192.0.2.1:6443"

/// Decodes a list that arrives in chunks, of sizes that `chunk` gives.
func decodeList(
    _ kind: ResourceKind, _ encoding: BodyEncoding, _ body: [UInt8], chunk: () -> Int = { .max }
) throws(WireError) -> DecodedList {
    var decoder = ListDecoder(kind, encoding, source: source)
    var result = DecodedList()
    for part in chunks(of: body, chunk) {
        try part.withBytes { bytes throws(WireError) in
            try decoder.consume(bytes) { result.objects.append($0) }
        }
    }
    result.metadata = try decoder.finish()
    return result
}

struct DecodedWatch: Equatable {
    var events: [WatchEvent] = []
    var isAtFrameBoundary = true
}

func decodeWatch(
    _ kind: ResourceKind, _ encoding: BodyEncoding, _ body: [UInt8], chunk: () -> Int = { .max }
) throws(WireError) -> DecodedWatch {
    var decoder = WatchDecoder(kind, encoding, source: source)
    var result = DecodedWatch()
    for part in chunks(of: body, chunk) {
        try part.withBytes { bytes throws(WireError) in
            try decoder.consume(bytes) { result.events.append($0) }
        }
    }
    result.isAtFrameBoundary = decoder.isAtFrameBoundary
    return result
}

/// Parts with storage of their own, so that a read beyond their end can be noticed.
private func chunks(of body: [UInt8], _ size: () -> Int) -> [[UInt8]] {
    var rest = body[...]
    var parts: [[UInt8]] = []
    while !rest.isEmpty {
        let part = rest.prefix(size())
        parts.append(Array(part))
        rest = rest.dropFirst(part.count)
    }
    return parts
}

extension [UInt8] {
    /// `withUnsafeBytes` with typed errors.
    func withBytes<Value, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try withUnsafeBytes { bytes in Result { () throws(Failure) in try body(bytes) } }.get()
    }
}

extension WireList {
    func body(_ encoding: BodyEncoding) -> [UInt8] {
        encoding == .protobuf ? protobuf : Array(json.utf8)
    }
}

extension WireEvent {
    func body(_ encoding: BodyEncoding) -> [UInt8] {
        encoding == .protobuf ? protobufFrame : Array(json.utf8)
    }
}

extension WireObject {
    func body(_ encoding: BodyEncoding) -> [UInt8] {
        encoding == .protobuf ? enveloped : Array(json.utf8)
    }

    /// Decoded as the one item of a list.
    func decoded(_ kind: ResourceKind, _ encoding: BodyEncoding) throws -> DecodedObject {
        let list = WireList(apiVersion, kind.listKind, [self])
        return try required(try decodeList(kind, encoding, list.body(encoding)).objects.first)
    }
}
