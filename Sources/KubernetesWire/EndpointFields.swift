import Documents
import IPAddressing
import KubernetesAPI
import ObjectReading

/// Reads `discovery/v1 Endpoint` messages from their bytes.
///
/// A large cluster is a quarter of a million of these. To make swift-protobuf's messages of them took
/// 0.13 s, 0.23 s with hints, and those had still to be checked and turned into the model; this does all
/// of it in 0.1 s (a list of 250,300 on two cores). The ordinary endpoint is read in place; one with
/// anything out of the ordinary is read again in its raw form, for the shared checks to judge.
struct EndpointFields: Sendable {
    private let interner: Interner
    private var placements = PlacementCache()

    init(interner: Interner) { self.interner = interner }

    /// The endpoints of a `discovery/v1 EndpointSlice`, its field 2.
    mutating func read(
        slice: UnsafeRawBufferPointer, _ family: AddressFamily, _ reader: inout ObjectReader
    ) throws(ProtobufFields.Malformed) -> [EndpointSlice.Endpoint] {
        var count = 0
        var fields = ProtobufFields(slice)
        while let tag = try fields.next() {
            if tag == .bytes(2) { count += 1 }
            try fields.skip(tag)
        }
        var result: [EndpointSlice.Endpoint] = []
        // Arrays that grow have up to twice the room they need, for as long as the slice lives.
        result.reserveCapacity(count)
        fields = ProtobufFields(slice)
        let forbidden = ForbiddenAddresses.special(but: family)
        var index = 0
        while let tag = try fields.next() {
            guard tag == .bytes(2) else {
                try fields.skip(tag)
                continue
            }
            let bytes = try fields.lengthDelimited()
            if let endpoint = try ordinary(bytes, forbidden) {
                result.append(endpoint)
            } else if let endpoint = try raw(bytes).read(family, index: index, &reader) {
                result.append(endpoint)
            }
            index += 1
        }
        return result
    }

    private enum Number {
        static let addresses: UInt32 = 1
        static let conditions: UInt32 = 2
        static let nodeName: UInt32 = 6
        static let hints: UInt32 = 8
    }

    /// Nil when there is anything to report.
    private mutating func ordinary(
        _ bytes: UnsafeRawBufferPointer, _ forbidden: ForbiddenAddresses
    ) throws(ProtobufFields.Malformed) -> EndpointSlice.Endpoint? {
        var address: IPAddress?
        var conditions = Conditions()
        var node = UnsafeRawBufferPointer(start: nil, count: 0)
        var hints = node
        var fields = ProtobufFields(bytes)
        while let tag = try fields.next() {
            switch tag {
            case .bytes(Number.addresses):
                let text = try fields.lengthDelimited()
                guard address == nil else { continue }
                guard let parsed = IPAddress(lenientText: text), forbidden.reason(against: parsed) == nil
                else { return nil }
                address = parsed
            case .bytes(Number.conditions):
                try conditions.merge(try fields.lengthDelimited())
            case .bytes(Number.nodeName):
                node = try fields.lengthDelimited()
            case .bytes(Number.hints):
                hints = try fields.lengthDelimited()
            default:
                try fields.skip(tag)
            }
        }
        guard let address, let placement = try placements.read(node: node, hints: hints, interner)
        else { return nil }
        return EndpointSlice.Endpoint(
            address: address, isReady: conditions.ready ?? true, isServing: conditions.serving ?? true,
            isTerminating: conditions.terminating ?? false, placement: placement)
    }

    private func raw(
        _ bytes: UnsafeRawBufferPointer
    ) throws(ProtobufFields.Malformed) -> RawEndpointSlice.Endpoint {
        var addresses: [Field<String>] = []
        var conditions = Conditions()
        var result = RawEndpointSlice.Endpoint()
        var hints: UnsafeRawBufferPointer?
        var fields = ProtobufFields(bytes)
        while let tag = try fields.next() {
            switch tag {
            case .bytes(Number.addresses): addresses.append(Field(utf8: try fields.lengthDelimited()))
            case .bytes(Number.conditions): try conditions.merge(try fields.lengthDelimited())
            case .bytes(Number.nodeName): result.nodeName = Field(utf8: try fields.lengthDelimited())
            case .bytes(Number.hints): hints = try fields.lengthDelimited()
            default: try fields.skip(tag)
            }
        }
        if !addresses.isEmpty { result.addresses = .value(addresses) }
        result.conditions = .value(conditions.raw)
        if let hints { result.hints = .value(try RawEndpointSlice.Hints(protobuf: hints)) }
        return result
    }
}

/// `discovery/v1 EndpointConditions`
private struct Conditions {
    var ready: Bool?
    var serving: Bool?
    var terminating: Bool?

    mutating func merge(_ message: UnsafeRawBufferPointer) throws(ProtobufFields.Malformed) {
        var fields = ProtobufFields(message)
        while let tag = try fields.next() {
            switch tag {
            case .varint(1): ready = try fields.varint() != 0
            case .varint(2): serving = try fields.varint() != 0
            case .varint(3): terminating = try fields.varint() != 0
            default: try fields.skip(tag)
            }
        }
    }

    var raw: RawEndpointSlice.Conditions {
        var raw = RawEndpointSlice.Conditions()
        raw.ready = ready.map(Field.value) ?? .absent
        raw.serving = serving.map(Field.value) ?? .absent
        raw.terminating = terminating.map(Field.value) ?? .absent
        return raw
    }
}

/// The placements of endpoints by the bytes they are read from: most endpoints have one of a few.
private struct PlacementCache: Sendable {
    private struct Entry {
        var node: [UInt8]
        var hints: [UInt8]
        var placement: Placement
    }

    private var entries: [Int: Entry] = [:]

    /// More than the nodes of the largest clusters, by some that hints differ in.
    private static let limit = 1 << 14

    /// From a node's name and a `discovery/v1 EndpointHints`, empty where there is none; nil when there is anything to
    /// report.
    mutating func read(
        node: UnsafeRawBufferPointer, hints: UnsafeRawBufferPointer, _ interner: Interner
    ) throws(ProtobufFields.Malformed) -> Placement? {
        if node.isEmpty, hints.isEmpty { return .unknown }
        var hasher = Hasher()
        hasher.combine(node.count)
        hasher.combine(bytes: node)
        hasher.combine(bytes: hints)
        let hash = hasher.finalize()
        if let entry = entries[hash], entry.node.elementsEqual(node), entry.hints.elementsEqual(hints) {
            return entry.placement
        }
        guard node.isEmpty || Text.isSubdomain(node) else { return nil }
        let raw = try RawEndpointSlice.Hints(protobuf: hints)
        guard let zones = names(raw.forZones, interner), let nodes = names(raw.forNodes, interner)
        else { return nil }
        let placement = interner.intern(
            Placement(
                nodeName: node.isEmpty ? nil : interner.intern(node), zoneHints: zones, nodeHints: nodes))
        if entries.count >= Self.limit { entries.removeAll(keepingCapacity: true) }
        entries[hash] = Entry(node: Array(node), hints: Array(hints), placement: placement)
        return placement
    }

    private func names(_ list: Field<[Field<RawEndpointSlice.Hint>]>, _ interner: Interner) -> [String]? {
        var result: [String] = []
        for hint in list.ifValid ?? [] {
            guard case .value(let name) = hint.ifValid?.name else { return nil }
            result.append(interner.intern(name))
        }
        return result
    }
}

extension RawEndpointSlice.Hints {
    /// From a `discovery/v1 EndpointHints`.
    fileprivate init(protobuf message: UnsafeRawBufferPointer) throws(ProtobufFields.Malformed) {
        self.init()
        var zones: [Field<RawEndpointSlice.Hint>] = []
        var nodes: [Field<RawEndpointSlice.Hint>] = []
        var fields = ProtobufFields(message)
        while let tag = try fields.next() {
            switch tag {
            case .bytes(1): zones.append(.value(try .init(protobuf: fields.lengthDelimited())))
            case .bytes(2): nodes.append(.value(try .init(protobuf: fields.lengthDelimited())))
            default: try fields.skip(tag)
            }
        }
        if !zones.isEmpty { forZones = .value(zones) }
        if !nodes.isEmpty { forNodes = .value(nodes) }
    }
}

extension RawEndpointSlice.Hint {
    /// From a `discovery/v1 ForZone` or `ForNode`, which are the same.
    fileprivate init(protobuf message: UnsafeRawBufferPointer) throws(ProtobufFields.Malformed) {
        self.init()
        if let name = try ProtobufFields.last(1, in: message) { self.name = Field(utf8: name) }
    }
}

extension Field<String> {
    /// A protobuf string.
    init(utf8 bytes: UnsafeRawBufferPointer) {
        if let string = String(validating: bytes, as: UTF8.self) {
            self = .value(string)
        } else {
            self = .wrong("what is no UTF-8")
        }
    }
}
