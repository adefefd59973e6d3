import IPAddressing
import NFTables

/// Networks as the elements of an interval set.
enum IntervalElements {
    /// In ascending order, each interval as its first address and, marked as an end, the one behind its last.
    ///
    /// Networks that lie in others or touch them are merged: the kernel refuses overlaps.
    static func make(_ networks: [IPNetwork], _ family: AddressFamily) -> [Element] {
        var merged: [(first: IPAddress, last: IPAddress)] = []
        for network in networks.filter({ $0.family == family }).sorted(by: { $0.address < $1.address }) {
            if let previous = merged.last,
                network.address <= previous.last || next(previous.last) == network.address
            {
                merged[merged.count - 1].last = max(previous.last, network.lastAddress)
            } else {
                merged.append((network.address, network.lastAddress))
            }
        }
        return merged.flatMap { interval in
            [Element(RegisterValue(interval.first))]
                + (next(interval.last).map { [Element(RegisterValue($0), isIntervalEnd: true)] } ?? [])
        }
    }

    /// The address behind this one; nil for the last of all.
    private static func next(_ address: IPAddress) -> IPAddress? {
        switch address.family {
        case .ipv4:
            return address.low == UInt64(UInt32.max) ? nil : IPAddress(ipv4: UInt32(address.low + 1))
        case .ipv6:
            let (low, overflow) = address.low.addingReportingOverflow(1)
            guard overflow else { return IPAddress(high: address.high, low: low) }
            return address.high == .max ? nil : IPAddress(high: address.high + 1, low: 0)
        }
    }
}
