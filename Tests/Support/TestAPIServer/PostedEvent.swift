internal import Foundation

/// An Event that a client posted, of core/v1 or events.k8s.io/v1, as far as a test may ask.
public struct PostedEvent: Sendable, Equatable {
    /// `v1` or `events.k8s.io/v1`
    public var apiVersion: String
    public var namespace: String
    public var name: String
    public var type: String
    public var reason: String
    public var action: String
    /// `note`, in core/v1 `message`.
    public var note: String
    /// Of the object it is about: `regarding`, in core/v1 `involvedObject`.
    public var regardingKind: String
    public var regardingNamespace: String
    public var regardingName: String
    /// `reportingController`, in core/v1 `source.component` or `reportingComponent`.
    public var reportingController: String
    public var reportingInstance: String
    /// `series.count`, once it was patched in.
    public internal(set) var seriesCount: Int?
    let mediaType: MediaType

    /// Of a patch, which may change nothing else.
    static func seriesCount(of request: ReceivedRequest) throws(APIStatus) -> Int {
        guard request.resource == "events", request.group == "events.k8s.io", request.namespace != nil else {
            throw APIStatus(code: 404)
        }
        let types = ["application/merge-patch+json", "application/strategic-merge-patch+json"]
        guard types.contains(request.headers["content-type"] ?? "") else { throw APIStatus(code: 415) }
        let body = (try? JSONSerialization.jsonObject(with: request.body)) as? [String: Any]
        guard let body, body.keys.sorted() == ["series"], let series = body["series"] as? [String: Any],
            let count = series["count"] as? Int, series["lastObservedTime"] is String
        else { throw .invalid("series: Required value") }
        guard count >= 2 else { throw .invalid("series.count: should be at least 2") }
        return count
    }

    /// Throws what the API server says to a body that isn't an Event, or not a valid one
    /// (`pkg/apis/core/validation/events.go`).
    init(_ request: ReceivedRequest) throws(APIStatus) {
        guard request.resource == "events", ["", "events.k8s.io"].contains(request.group),
            let namespace = request.namespace
        else { throw APIStatus(code: 404) }
        let isNew = request.group == "events.k8s.io"
        let body = [UInt8](request.body)
        let fields: EventFields
        if request.headers["content-type"]?.hasPrefix(MediaType.protobuf.rawValue) == true {
            guard let read = EventFields(protobuf: body, isNew: isNew) else {
                throw .badRequest("the body is not an Event in protobuf")
            }
            fields = read
            mediaType = .protobuf
        } else {
            guard let read = EventFields(json: request.body, isNew: isNew) else {
                throw .badRequest("the body is not an Event in JSON")
            }
            fields = read
            mediaType = .json
        }
        let text = fields.text
        apiVersion = text["apiVersion"] ?? ""
        self.namespace = text["metadata.namespace"] ?? ""
        name = text["metadata.name"] ?? ""
        type = text["type"] ?? ""
        reason = text["reason"] ?? ""
        action = text["action"] ?? ""
        note = text[isNew ? "note" : "message"] ?? ""
        let object = isNew ? "regarding" : "involvedObject"
        regardingKind = text["\(object).kind"] ?? ""
        regardingNamespace = text["\(object).namespace"] ?? ""
        regardingName = text["\(object).name"] ?? ""
        reportingController =
            text[isNew ? "reportingController" : "reportingComponent"] ?? text["source.component"] ?? ""
        reportingInstance = text["reportingInstance"] ?? ""
        try validate(in: namespace, hasEventTime: text["eventTime"] != nil, isNew: isNew)
    }

    private func validate(in namespace: String, hasEventTime: Bool, isNew: Bool) throws(APIStatus) {
        guard self.namespace == namespace || self.namespace.isEmpty else {
            throw .badRequest(
                "the namespace of the provided object does not match the namespace sent on the request")
        }
        let allowed = regardingNamespace.isEmpty ? ["default", "kube-system"] : [regardingNamespace]
        let faults: [(Bool, String)] = [
            (apiVersion != (isNew ? "events.k8s.io/v1" : "v1"), "apiVersion: does not match the request"),
            (name.isEmpty, "metadata.name: Required value"),
            (!allowed.contains(namespace), "regarding.namespace: does not match event.namespace"),
            (!["Normal", "Warning"].contains(type), "type: Unsupported value: \(type)"),
            (isNew && !hasEventTime, "eventTime: Required value"),
            (isNew && reportingController.isEmpty, "reportingController: Required value"),
            (isNew && reportingInstance.isEmpty, "reportingInstance: Required value"),
            (reportingInstance.utf8.count > 128, "reportingInstance: can have at most 128 characters"),
            (isNew && action.isEmpty, "action: Required value"),
            (action.utf8.count > 128, "action: can have at most 128 characters"),
            (isNew && reason.isEmpty, "reason: Required value"),
            (reason.utf8.count > 128, "reason: can have at most 128 characters"),
            (note.utf8.count > 1_024, "note: can have at most 1024 characters"),
        ]
        if let fault = faults.first(where: \.0) { throw .invalid("Event \"\(name)\" is invalid: \(fault.1)") }
    }
}

/// The text fields of an Event by their paths.
private struct EventFields {
    var text: [String: String] = [:]

    init?(json: Data, isNew: Bool) {
        guard let object = (try? JSONSerialization.jsonObject(with: json)) as? [String: Any],
            object["kind"] as? String == "Event"
        else { return nil }
        add(object, "")
    }

    private mutating func add(_ object: [String: Any], _ prefix: String) {
        for (name, value) in object {
            if let value = value as? String { text[prefix + name] = value }
            if let value = value as? [String: Any] { add(value, "\(prefix)\(name).") }
        }
    }

    init?(protobuf: [UInt8], isNew: Bool) {
        guard protobuf.starts(with: [0x6b, 0x38, 0x73, 0x00]),
            let unknown = Self.fields(protobuf.dropFirst(4)),
            let typeMeta = unknown[1].flatMap(Self.fields), let raw = unknown[2],
            let event = Self.fields(raw),
            typeMeta[2].map({ String(decoding: $0, as: UTF8.self) }) == "Event"
        else { return nil }
        text["apiVersion"] = typeMeta[1].map { String(decoding: $0, as: UTF8.self) }
        let metadata = event[1].flatMap(Self.fields) ?? [:]
        text["metadata.name"] = metadata[1].map { String(decoding: $0, as: UTF8.self) }
        text["metadata.namespace"] = metadata[3].map { String(decoding: $0, as: UTF8.self) }
        let names: [Int: String] =
            isNew
            ? [
                2: "eventTime", 4: "reportingController", 5: "reportingInstance", 6: "action", 7: "reason",
                10: "note", 11: "type",
            ]
            : [
                3: "reason", 4: "message", 9: "type", 10: "eventTime", 12: "action", 14: "reportingComponent",
                15: "reportingInstance",
            ]
        for (number, name) in names { text[name] = event[number].map { String(decoding: $0, as: UTF8.self) } }
        let object = event[isNew ? 8 : 2].flatMap(Self.fields) ?? [:]
        for (number, name) in [1: "kind", 2: "namespace", 3: "name"] {
            text["\(isNew ? "regarding" : "involvedObject").\(name)"] = object[number].map {
                String(decoding: $0, as: UTF8.self)
            }
        }
    }

    /// The last length-delimited field of each number; nil when the bytes aren't a message.
    private static func fields(_ bytes: ArraySlice<UInt8>) -> [Int: ArraySlice<UInt8>]? {
        var rest = bytes
        var found: [Int: ArraySlice<UInt8>] = [:]
        func varint() -> UInt64? {
            var value: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 64, by: 7) {
                guard let byte = rest.popFirst() else { return nil }
                value |= UInt64(byte & 0x7f) << shift
                if byte < 0x80 { return value }
            }
            return nil
        }
        while !rest.isEmpty {
            guard let tag = varint() else { return nil }
            switch tag & 7 {
            case 0: guard varint() != nil else { return nil }
            case 2:
                guard let length = varint(), length <= rest.count else { return nil }
                found[Int(tag >> 3)] = rest.prefix(Int(length))
                rest = rest.dropFirst(Int(length))
            default: return nil
            }
        }
        return found
    }
}
