/// An object with its type, as an API server sends it.
public struct WireObject: Sendable {
    public var apiVersion: String
    public var kind: String
    public var fields: [WireField]

    public init(_ apiVersion: String, _ kind: String, _ fields: [WireField]) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.fields = fields
    }

    /// `k8s\0` and a `runtime.Unknown` around the object.
    public var enveloped: [UInt8] { envelope(apiVersion, kind, fields.protobuf) }

    /// With `apiVersion` and `kind`, which a list leaves out of its items.
    public var json: String {
        ([WireField(0, "kind", .text(kind)), WireField(0, "apiVersion", .text(apiVersion))] + fields).json
    }

    /// `v1.Status`
    public static func status(
        code: Int64, reason: String, message: String, retryAfterSeconds: Int64? = nil
    ) -> Self {
        var details: [WireField] = [WireField(1, "name", "web"), WireField(3, "kind", "services")]
        if let retryAfterSeconds {
            details.append(WireField(5, "retryAfterSeconds", .number(retryAfterSeconds)))
        }
        return Self(
            "v1", "Status",
            [
                WireField(1, "metadata", .message([])), WireField(2, "status", "Failure"),
                WireField(3, "message", .text(message)), WireField(4, "reason", .text(reason)),
                WireField(5, "details", .message(details)), WireField(6, "code", .number(code)),
            ])
    }
}

/// `k8s\0` and a `runtime.Unknown` around a message's bytes.
public func envelope(_ apiVersion: String, _ kind: String, _ object: [UInt8]) -> [UInt8] {
    let type = [WireField(1, "apiVersion", .text(apiVersion)), WireField(2, "kind", .text(kind))]
    return [0x6b, 0x38, 0x73, 0x00]
        + [
            WireField(1, "typeMeta", .message(type)),
            WireField(2, "raw", .verbatim(object, json: "")),
            WireField(3, "contentEncoding", ""), WireField(4, "contentType", ""),
        ].protobuf
}

/// One page of a list.
public struct WireList: Sendable {
    public var items: [WireObject]
    public var resourceVersion: String
    public var continueToken: String
    public var remainingItemCount: Int64?
    public var apiVersion: String
    public var kind: String

    public init(
        _ apiVersion: String, _ kind: String, _ items: [WireObject], resourceVersion: String = "1000",
        continueToken: String = "", remainingItemCount: Int64? = nil
    ) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.items = items
        self.resourceVersion = resourceVersion
        self.continueToken = continueToken
        self.remainingItemCount = remainingItemCount
    }

    private var metadata: WireField {
        var fields: [WireField] = [
            WireField(1, "selfLink", ""), WireField(2, "resourceVersion", .text(resourceVersion)),
        ]
        // A Go server writes empty strings in protobuf, and leaves them out of JSON.
        fields.append(WireField(3, "continue", .text(continueToken)))
        if let remainingItemCount {
            fields.append(WireField(4, "remainingItemCount", .number(remainingItemCount)))
        }
        return WireField(1, "metadata", .message(fields))
    }

    public var protobuf: [UInt8] {
        let items = WireField(2, "items", .repeated(items.map { .message($0.fields) }))
        return envelope(apiVersion, kind, [metadata, items].protobuf)
    }

    public var json: String {
        [
            WireField(0, "kind", .text(kind)), WireField(0, "apiVersion", .text(apiVersion)), metadata,
            WireField(2, "items", .repeated(items.map { .message($0.fields) })),
        ].json
    }
}

/// One event of a watch.
public struct WireEvent: Sendable {
    public var type: String
    public var object: WireObject

    public init(_ type: String, _ object: WireObject) {
        self.type = type
        self.object = object
    }

    /// A `meta/v1 WatchEvent` with its length in front.
    public var protobufFrame: [UInt8] {
        framed(
            [
                WireField(1, "type", .text(type)),
                WireField(
                    2, "object",
                    .message([WireField(1, "raw", .verbatim(object.enveloped, json: ""))])),
            ].protobuf)
    }

    public var json: String { "{\"type\":\"\(type)\",\"object\":\(object.json)}\n" }

    /// A bookmark, as the server sends it: an empty object of the kind.
    public static func bookmark(
        _ apiVersion: String, _ kind: String, resourceVersion: String, endsInitialEvents: Bool = false
    ) -> Self {
        var metadata = [WireField(6, "resourceVersion", .text(resourceVersion))]
        if endsInitialEvents {
            metadata.append(WireField(12, "annotations", .map([("k8s.io/initial-events-end", "true")])))
        }
        return Self("BOOKMARK", WireObject(apiVersion, kind, [WireField(1, "metadata", .message(metadata))]))
    }
}

/// Bytes with their count in front, 4 bytes in network byte order.
public func framed(_ bytes: [UInt8]) -> [UInt8] {
    stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: bytes.count >> $0) } + bytes
}
