package import Documents
package import IPAddressing
package import KubernetesAPI

/// A problem in one object, before its place in the source is known.
package struct Finding: Sendable {
    /// From the document's root to the object, empty unless the object is in a List.
    package var prefix: FieldPath = .root
    /// From the object's root to the field.
    package var field: FieldPath
    /// What it is about; nil when that could not be told.
    package var subject: ObjectProblem.Subject?
    package var message: String

    package init(
        prefix: FieldPath = .root, field: FieldPath, subject: ObjectProblem.Subject? = nil, message: String
    ) {
        self.prefix = prefix
        self.field = field
        self.subject = subject
        self.message = message
    }
}

/// Reads the fields of one object, gathers what is wrong with them, and knows what to say.
///
/// Each reading function returns nil for a field that is absent, null, or wrong; only the last is
/// reported. `follows` says what follows from it, since that is what the reader of a log needs.
/// Paths come as closures: a good object of a thousand endpoints builds none.
package struct ObjectReader {
    /// Who says what the object is.
    package enum Origin: Sendable {
        /// A file: fields that are missing get the defaults that an API server would fill in.
        case manifest
        /// An API server has defaulted and validated it: what is missing is meant to be.
        case apiServer
    }

    package let kind: String
    package let origin: Origin
    package let interner: Interner
    package private(set) var subject: ObjectProblem.Subject
    package private(set) var findings: [Finding] = []
    /// What is found in one object, told one by one: no object is to fill the log.
    private static let tellings = 100

    package init(kind: String, origin: Origin, interner: Interner) {
        self.kind = kind
        self.origin = origin
        self.interner = interner
        subject = .kind(kind)
    }

    /// `; this Service is not served`
    var refusal: String { "this \(kind) is not served" }

    mutating func report(
        _ path: @autoclosure () -> FieldPath, _ what: @autoclosure () -> String, _ follows: String
    ) {
        guard findings.count < Self.tellings else {
            if findings.count == Self.tellings {
                findings.append(
                    Finding(
                        field: .root, subject: subject,
                        message: "more is wrong with this \(kind), and not told"))
            }
            return
        }
        findings.append(Finding(field: path(), subject: subject, message: "\(what()); \(follows)"))
    }

    /// The value of a field of the type `noun` (with its article).
    mutating func value<V>(
        _ field: Field<V>, _ noun: String, at path: @autoclosure () -> FieldPath, _ follows: String
    ) -> V? {
        switch field {
        case .value(let value): return value
        case .absent, .null: return nil
        case .wrong(let found):
            report(path(), "\(found) is not \(noun)", follows)
            return nil
        }
    }

    mutating func string(
        _ field: Field<String>, at path: @autoclosure () -> FieldPath, _ follows: String
    ) -> String? {
        value(field, "a string", at: path(), follows)
    }

    /// The good elements of a list, each with its index.
    mutating func list<V>(
        _ field: Field<[Field<V>]>, of noun: String, at path: @autoclosure () -> FieldPath,
        _ follows: String, each: String
    ) -> [(index: Int, value: V)] {
        guard let fields = value(field, "a list", at: path(), follows) else { return [] }
        var result: [(index: Int, value: V)] = []
        result.reserveCapacity(fields.count)
        for (index, element) in fields.enumerated() {
            if case .null = element {
                report(path()[index], "null is not \(noun)", each)
            } else if let value = value(element, noun, at: path()[index], each) {
                result.append((index, value))
            }
        }
        return result
    }

    /// A port number; nil when absent, 0 or wrong. `zeroIsNone` says whether 0 stands for no port.
    mutating func port(
        _ field: Field<Int>, zeroIsNone: Bool, at path: @autoclosure () -> FieldPath, _ follows: String
    ) -> UInt16? {
        let rule = "a port (1 to 65535)"
        guard let number = value(field, rule, at: path(), follows) else { return nil }
        if number == 0 && zeroIsNone { return nil }
        guard let port = UInt16(exactly: number), port > 0 else {
            report(path(), "\(number) is not \(rule)", follows)
            return nil
        }
        return port
    }

    /// `protocol`, TCP when absent; nil when it is wrong.
    mutating func transport(
        _ field: Field<String>, at path: @autoclosure () -> FieldPath, _ follows: String
    ) -> TransportProtocol? {
        switch field {
        case .absent, .null, .value(""): return .tcp
        case .value(let name):
            if let transport = TransportProtocol(kubernetesName: name) { return transport }
            report(path(), "\(Text.quoted(name)) is not a protocol (TCP, UDP or SCTP)", follows)
        case .wrong(let found):
            report(path(), "\(found) is not a protocol (TCP, UDP or SCTP)", follows)
        }
        return nil
    }

    /// An address, checked to be none of `forbidden`.
    mutating func address(
        _ text: String, forbidding forbidden: ForbiddenAddresses, at path: @autoclosure () -> FieldPath,
        _ follows: String
    ) -> IPAddress? {
        guard let address = IPAddress(lenient: text) else {
            report(path(), "\(Text.quoted(text)) is not an IP address", follows)
            return nil
        }
        if let reason = forbidden.reason(against: address) {
            report(path(), "\(address) is \(reason)", follows)
            return nil
        }
        return address
    }

    /// The CIDR blocks of a list; surrounding white space doesn't count.
    mutating func networks(
        _ field: Field<[Field<String>]>, at path: FieldPath, _ follows: String
    ) -> [IPNetwork] {
        var result: [IPNetwork] = []
        for (index, text) in list(field, of: "a CIDR", at: path, follows, each: follows) {
            let trimmed = text.trimmingPrefix(while: \.isWhitespace)
            let end = trimmed.lastIndex { !$0.isWhitespace }.map(trimmed.index(after:)) ?? trimmed.startIndex
            if let network = IPNetwork(lenient: trimmed[..<end]) {
                result.append(network)
            } else {
                report(path[index], "\(Text.quoted(text)) is not a CIDR", follows)
            }
        }
        return result
    }

    /// One of a few words; `fallback` when absent, or, reported, when it is another one.
    mutating func choice<Choice: RawRepresentable<String>>(
        _ field: Field<String>, _ noun: String, fallback: Choice, at path: FieldPath
    ) -> Choice {
        switch field {
        case .absent, .null, .value(""): return fallback
        case .value(let name):
            if let choice = Choice(rawValue: name) { return choice }
            report(path, "\(Text.quoted(name)) is not \(noun)", "\(fallback.rawValue) is used")
        case .wrong(let found):
            report(path, "\(found) is not \(noun)", "\(fallback.rawValue) is used")
        }
        return fallback
    }
}

extension ObjectReader {
    /// `metadata`, refused when it isn't there.
    mutating func metadata(_ field: Field<RawMetadata>) -> RawMetadata? {
        if let metadata = value(field, "a mapping", at: .metadata, refusal) { return metadata }
        if findings.isEmpty { report(.metadata, "missing", refusal) }
        return nil
    }

    /// Namespace and name of a namespaced object, and from here on what its findings are about.
    mutating func objectName(
        _ metadata: RawMetadata, nameIsLabel: Bool, _ subject: (ObjectName) -> ObjectProblem.Subject
    ) -> ObjectName? {
        var namespace = "default"
        switch metadata.namespace {
        case .absent, .null, .value(""): break
        default:
            guard
                let given = name(
                    metadata.namespace, isLabel: true, at: FieldPath.metadata["namespace"])
            else { return nil }
            namespace = interner.intern(given)
        }
        guard let name = name(metadata.name, isLabel: nameIsLabel, at: FieldPath.metadata["name"])
        else { return nil }
        let result = ObjectName(namespace: namespace, name: name)
        self.subject = subject(result)
        return result
    }

    /// The name of an object without namespace, and from here on what its findings are about.
    mutating func clusterScopedName(
        _ metadata: RawMetadata, _ key: (String) -> ClusterObject.Key
    ) -> String? {
        guard let name = name(metadata.name, isLabel: false, at: FieldPath.metadata["name"])
        else { return nil }
        subject = .object(key(name))
        return name
    }

    /// `metadata.labels`; the object goes on without labels when they are wrong.
    mutating func labels(_ metadata: RawMetadata, _ follows: String) -> RawLabels? {
        value(metadata.labels, "a mapping", at: FieldPath.metadata["labels"], follows)
    }

    /// A name that must be there and follow the rule for names.
    mutating func name(
        _ field: Field<String>, isLabel: Bool, at path: @autoclosure () -> FieldPath
    ) -> String? {
        switch field {
        case .absent, .null, .value(""):
            report(path(), "missing", refusal)
        case .wrong(let found):
            report(path(), "\(found) is not a string", refusal)
        case .value(let name):
            if isLabel ? Text.isLabel(name) : Text.isSubdomain(name) { return name }
            let rule = isLabel ? Text.labelRule : Text.subdomainRule
            report(path(), "\(Text.quoted(name)) is not \(rule)", refusal)
        }
        return nil
    }
}

/// Addresses that must not be served, though they are well-formed.
package struct ForbiddenAddresses {
    var family: AddressFamily?
    var linkLocal = true

    /// What Kubernetes' validation forbids for endpoints and external IPs: with these, whoever may
    /// write a Service could reach or catch what is the node's own.
    static let special = ForbiddenAddresses()

    /// The same, and all of the other family.
    package static func special(but family: AddressFamily) -> Self { Self(family: family) }

    package func reason(against address: IPAddress) -> String? {
        if let family, address.family != family {
            return "not an \(family.name) address"
        }
        if address.isUnspecified { return "the unspecified address" }
        if address.isLoopback { return "a loopback address" }
        if address.isMulticast { return "a multicast address" }
        if address.isBroadcast { return "the broadcast address" }
        if linkLocal, address.isLinkLocal { return "a link-local address" }
        return nil
    }
}
