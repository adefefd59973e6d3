import IPAddressing
import NFTables
import ServiceModel

/// The kernel objects of one Service in one family.
struct Fragment {
    /// An element that several Services may ask for, there as long as one of them does.
    struct Shared: Hashable {
        let set: String
        let key: RegisterValue
    }

    var sets: [NamedSet] = []
    var chains: [Chain] = []
    /// By set.
    var elements: [String: [Element]] = [:]

    init() {}

    init(_ service: CompiledService, frame: Frame) {
        for port in service.ports where port.family == frame.family {
            add(port, frame)
        }
    }

    private mutating func add(_ port: CompiledPort, _ frame: Frame) {
        func keys() -> [RegisterValue] {
            port.addresses.map { RegisterValue($0, port.id.transport, port.port) }
        }
        // As the kernel will give it back: names can be longer than a comment.
        let comment = Comment.sanitized(port.id.description)
        switch port.target {
        case .direct(let endpoint):
            let data = Element.Data.value(RegisterValue(endpoint.target))
            elements[ObjectNames.direct, default: []] += keys().map {
                Element($0, data: data, comment: comment)
            }
        case .pool(let pool):
            let chain = ObjectNames.pool(pool.identity)
            elements[ObjectNames.services, default: []] += keys().map {
                Element($0, data: .verdict(.goto(chain)))
            }
            add(pool, keys(), frame)
        case .refuse:
            elements[ObjectNames.services, default: []] += keys().map {
                Element($0, data: .verdict(.goto(ObjectNames.refuse)), comment: comment)
            }
        case .drop:
            elements[ObjectNames.services, default: []] += keys().map {
                Element($0, data: .verdict(.drop), comment: comment)
            }
        }
    }

    private mutating func add(_ pool: CompiledPool, _ keys: [RegisterValue], _ frame: Frame) {
        let family = frame.family.nft
        let transport = InternetProtocol(rawValue: pool.transport.rawValue)
        var rules: [Rule] = []
        if let timeout = pool.affinityTimeout {
            let chain = ObjectNames.remember(pool.identity)
            var updates: [Rule] = []
            for port in pool.targetPorts {
                let map = frame.affinity(ObjectNames.affinity(pool.identity, port: port))
                sets.append(map)
                rules.append(
                    Rule([
                        .l4proto(transport),
                        .dnat(family, addressFrom: map.name, key: [.saddr(family)], port: port),
                    ]))
                updates.append(
                    Rule(
                        [
                            .thDport(port),
                            .update(
                                map.name, key: .saddr(family), data: .daddr(family),
                                timeout: UInt64(timeout) * 1000),
                        ], sets: [map.name: map]))
            }
            chains.append(Chain(chain, rules: updates))
            elements[ObjectNames.affinity, default: []] += keys.map {
                Element($0, data: .verdict(.jump(chain)))
            }
        }
        if let region = pool.region {
            let map = ObjectNames.slots(region.map)
            let counter = Term.numgenIncremental(modulus: UInt32(pool.members.count), offset: region.offset)
            rules.append(Rule([.l4proto(transport), .dnat(family, addressAndPortFrom: map, key: [counter])]))
            elements[map, default: []] += pool.members.enumerated().map { index, member in
                Element(
                    RegisterValue(slot: region.offset + UInt32(index)),
                    data: .value(RegisterValue(member.target)))
            }
        } else if let only = pool.members.first {
            rules.append(
                Rule([
                    .l4proto(transport),
                    .dnat(family, address: RegisterValue(only.target.address), port: only.target.port),
                ]))
        }
        chains.append(Chain(ObjectNames.pool(pool.identity), rules: rules))
    }

    // MARK: Shared elements

    /// The elements that the Service has in common with others, each as often as it asks for it.
    static func shared(_ service: CompiledService, _ family: AddressFamily) -> [Shared] {
        var result: [Shared] = []
        for address in service.clusterIPs where address.family == family {
            result.append(Shared(set: ObjectNames.clusterIPs, key: RegisterValue(address)))
        }
        func addHairpin(_ endpoint: PoolEndpoint) {
            guard endpoint.isHairpin else { return }
            let key = RegisterValue(hairpin: endpoint.target.address)
            result.append(Shared(set: ObjectNames.hairpin, key: key))
        }
        for port in service.ports where port.family == family {
            switch port.target {
            case .direct(let endpoint): addHairpin(endpoint)
            case .pool(let pool): for member in pool.members { addHairpin(member) }
            case .refuse, .drop: break
            }
        }
        return result
    }
}
