/// Where an endpoint is, and who had better use it: what most endpoints of one node have in common.
///
/// A large cluster has hundreds of thousands of endpoints and a few placements. Endpoints that share one take 32 bytes
/// each; with a name and two lists of their own they took 64.
public final class Placement: Sendable {
    /// On no node or on an unknown one, and for everybody.
    public static let unknown = Placement()

    /// `nodeName`; nil for no node or an unknown one.
    public let nodeName: String?
    /// `hints.forZones[].name`.
    public let zoneHints: [String]
    /// `hints.forNodes[].name`.
    public let nodeHints: [String]

    public init(nodeName: String? = nil, zoneHints: [String] = [], nodeHints: [String] = []) {
        self.nodeName = nodeName
        self.zoneHints = zoneHints
        self.nodeHints = nodeHints
    }
}

extension Placement: Hashable {
    public static func == (a: Placement, b: Placement) -> Bool {
        a === b || (a.nodeName == b.nodeName && a.zoneHints == b.zoneHints && a.nodeHints == b.nodeHints)
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(nodeName)
        hasher.combine(zoneHints)
        hasher.combine(nodeHints)
    }
}
