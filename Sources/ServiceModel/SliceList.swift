import KubernetesAPI

/// The EndpointSlices of one Service: nearly always one or a few, for which a dictionary would be twice the memory.
struct SliceList: Sendable {
    /// In the order of their names.
    private(set) var all: [EndpointSlice] = []

    var isEmpty: Bool { all.isEmpty }

    subscript(name: ObjectName) -> EndpointSlice? {
        let position = position(of: name)
        return position.isTaken ? all[position.index] : nil
    }

    /// Adds a slice, or replaces the one of its name.
    mutating func insert(_ slice: EndpointSlice) {
        let position = position(of: slice.name)
        if position.isTaken {
            all[position.index] = slice
        } else {
            all.insert(slice, at: position.index)
        }
    }

    /// - Returns: the slice that was there.
    mutating func remove(_ name: ObjectName) -> EndpointSlice? {
        let position = position(of: name)
        return position.isTaken ? all.remove(at: position.index) : nil
    }

    /// Where a slice of this name is or belongs.
    private func position(of name: ObjectName) -> (index: Int, isTaken: Bool) {
        var range = all.startIndex..<all.endIndex
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            if all[middle].name == name { return (middle, true) }
            range = all[middle].name < name ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return (range.lowerBound, false)
    }
}
