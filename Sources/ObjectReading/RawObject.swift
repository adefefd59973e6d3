package import KubernetesAPI

/// The raw form of a kind of object, as it stands in a manifest or an API server's answer.
package protocol RawObject: Decodable, Sendable {
    /// As in `kind`.
    static var kind: String { get }
    /// As in `apiVersion`.
    static var apiVersion: String { get }

    var metadata: Field<RawMetadata> { get }

    /// Checks the object; what is wrong goes to the reader.
    func read(_ reader: inout ObjectReader) -> Verdict
}

/// What became of one object.
package enum Verdict {
    case objects([ClusterObject])
    /// Refused as a whole, with at least one finding.
    case refused
    /// Not for a service proxy; the reason is counted.
    case skipped(String)
}
