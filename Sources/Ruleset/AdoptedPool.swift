import IPAddressing
import NFTables

/// A pool as the kernel's table has it.
struct AdoptedPool: Sendable {
    /// The name of its chain.
    let name: String
    /// Where its slots are; nil for one endpoint.
    let region: SlotRegion?
    /// The endpoints in the order of their slots.
    let targets: [AddressPort]

    /// The pools that a table of ours holds; what doesn't look like one is passed over.
    static func all(in table: Table) -> [AdoptedPool] {
        var slots: [String: [UInt32: AddressPort]] = [:]
        return table.chains.values.compactMap { chain in
            guard ObjectNames.isPool(chain.name) else { return nil }
            for rule in chain.rules {
                if let only = constant(rule) {
                    return AdoptedPool(name: chain.name, region: nil, targets: [only])
                }
                guard let (map, modulus, offset) = counter(rule), let number = ObjectNames.slotMap(map),
                    modulus > 0, modulus <= SlotRegion.capacity
                else { continue }
                let region = SlotRegion(map: number, slot: offset)
                guard region.offset == offset else { continue }
                if slots[map] == nil { slots[map] = targets(table.elements[map] ?? []) }
                let targets = (0..<modulus).compactMap { slots[map]?[offset + $0] }
                return AdoptedPool(name: chain.name, region: region, targets: targets)
            }
            return nil
        }
    }

    /// `numgen inc mod N offset O map @slots-K`
    private static func counter(_ rule: Rule) -> (map: String, modulus: UInt32, offset: UInt32)? {
        var found: (modulus: UInt32, offset: UInt32)?
        for expression in rule.expressions {
            switch expression {
            case .numgen(.incremental, let modulus, let offset, _): found = (modulus, offset)
            case .lookup(let set, _, .data):
                if let found { return (set, found.modulus, found.offset) }
            default: continue
            }
        }
        return nil
    }

    /// `dnat to 192.0.2.1:80`
    private static func constant(_ rule: Rule) -> AddressPort? {
        let constants = rule.expressions.compactMap { expression in
            if case .immediate(let value, _) = expression { value } else { nil }
        }
        guard constants.count == 2, let address = constants[0].address, constants[1].count == 2 else {
            return nil
        }
        return AddressPort(address, UInt16(constants[1][0]) << 8 | UInt16(constants[1][1]))
    }

    private static func targets(_ elements: [Element]) -> [UInt32: AddressPort] {
        var result: [UInt32: AddressPort] = [:]
        for element in elements {
            guard case .value(let data) = element.data, let slot = element.key.slot, let target = data.target
            else {
                continue
            }
            result[slot] = target
        }
        return result
    }
}
