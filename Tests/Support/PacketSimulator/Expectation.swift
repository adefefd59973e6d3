public import IPAddressing
public import Testing

extension PacketSimulator {
    /// Sends a packet and lets the test say what should become of it:
    /// `simulator.expect(packet).isDelivered(to: endpoint)`. A failure prints the rules that it met.
    @discardableResult
    public mutating func expect(
        _ packet: Packet, sourceLocation: SourceLocation = #_sourceLocation
    ) -> Expectation {
        Expectation(result: send(packet), location: sourceLocation)
    }
}

/// Statements about a packet's fate that fail the running test when they are wrong.
public struct Expectation: Sendable {
    public let result: PacketSimulator.Result
    let location: SourceLocation

    /// It reached this endpoint; nil for `source` or `masqueraded`: whichever.
    @discardableResult
    public func isDelivered(
        to endpoint: AddressPort, from source: AddressPort? = nil, masqueraded: Bool? = nil
    ) -> Self {
        if case .delivered(let to, let from, let wasMasqueraded) = result.fate, to == endpoint,
            source == nil || source == from, masqueraded == nil || masqueraded == wasMasqueraded
        {
            return self
        }
        let from = source.map { " from \($0)" } ?? ""
        let how = masqueraded.map { $0 ? ", masqueraded" : ", not masqueraded" } ?? ""
        return fail("delivered to \(endpoint)\(from)\(how)")
    }

    /// It reached one of these.
    @discardableResult
    public func isDelivered(toOneOf endpoints: some Collection<AddressPort>) -> Self {
        if case .delivered(let to, _, _) = result.fate, endpoints.contains(to) { return self }
        return fail("delivered to one of \(endpoints.map(\.description).joined(separator: ", "))")
    }

    /// The sender is told at once.
    @discardableResult
    public func isRefused(_ refusal: Fate.Refusal? = nil) -> Self {
        if case .refused(let how) = result.fate, refusal == nil || refusal == how { return self }
        return fail(refusal.map { Fate.refused($0).description } ?? "refused")
    }

    @discardableResult
    public func isDropped() -> Self { result.fate == .dropped ? self : fail("dropped") }

    /// No translation.
    @discardableResult
    public func isUntouched() -> Self {
        if case .untouched = result.fate { return self }
        return fail("untouched")
    }

    /// It followed its connection.
    @discardableResult
    public func metNoRule() -> Self {
        result.rulesMet == 0 ? self : fail("to meet no rule")
    }

    /// The endpoint that it reached, nil if none.
    public var endpoint: AddressPort? {
        if case .delivered(let to, _, _) = result.fate { to } else { nil }
    }

    private func fail(_ expected: String) -> Self {
        let trace = result.trace.map { "\n    \($0)" }.joined()
        Issue.record(
            "\(result.packet)\n  expected: \(expected)\n  was: \(result.fate)\n  rules met: \(result.rulesMet)\(trace)",
            sourceLocation: location)
        return self
    }
}
