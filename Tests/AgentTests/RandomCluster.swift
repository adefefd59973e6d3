import IPAddressing
import KubernetesAPI
import SeededRandom

/// A cluster of few names, addresses and ports, so that changes often meet each other.
struct RandomCluster {
    var random: SeededGenerator
    private(set) var objects: [ClusterObject.Key: ClusterObject] = [:]

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// One to five changes of objects: the new state of each, nil when it was removed.
    mutating func change() -> [ClusterObject.Key: ClusterObject?] {
        var changes: [ClusterObject.Key: ClusterObject?] = [:]
        for _ in 0..<random.number(1...5) {
            switch random.number(0...9) {
            case 0...3: put(.service(expose(makeService())), &changes)
            case 4...7: put(.endpointSlice(makeSlice()), &changes)
            case 8:
                guard let key = objects.keys.sorted(by: { "\($0)" < "\($1)" }).randomElement(using: &random)
                else { continue }
                objects[key] = nil
                changes.updateValue(nil, forKey: key)
            default: put(random.once(in: 2) ? .serviceCIDR(makeCIDR()) : .node(makeNode()), &changes)
            }
        }
        return changes
    }

    private mutating func put(
        _ object: ClusterObject, _ changes: inout [ClusterObject.Key: ClusterObject?]
    ) {
        objects[object.key] = object
        changes.updateValue(object, forKey: object.key)
    }

    private mutating func makeService() -> Service {
        let index = random.number(0...7)
        // Mostly its own address, now and then another's: the older one keeps it.
        let vip = random.once(in: 5) ? random.number(0...7) : index
        var addresses: [IPAddress] = []
        if !random.once(in: 6) { addresses.append(IPAddress(ipv4: 0x0a60_0001 + UInt32(vip))) }
        if random.once(in: 3) { addresses.append(IPAddress(high: 0xfd00 << 48, low: 1 + UInt64(vip))) }
        let ports: [Service.Port] =
            switch random.number(0...3) {
            case 0:
                [.init(port: 80), .init(transport: .udp, port: 80)].shuffled(using: &random).prefix(1) + []
            case 1: [.init(name: "http", port: 80), .init(name: "dns", transport: .udp, port: 53)]
            case 2:
                [.init(name: "http", port: random.once(in: 2) ? 80 : 8080), .init(name: "admin", port: 81)]
            default: [.init(port: 80)]
            }
        return Service(
            name: name("s\(index)"), kind: random.once(in: 25) ? .externalName : .clusterIP,
            created: random.once(in: 2) ? Int64(random.number(0...3)) : nil,
            isHeadless: random.once(in: 20), proxyName: random.once(in: 25) ? "other" : nil,
            clusterIPs: addresses, ports: ports,
            affinityTimeout: random.once(in: 3) ? UInt32([10, 60, 10_800][random.number(0...2)]) : nil,
            internalTrafficPolicy: random.once(in: 6) ? .local : .cluster)
    }

    /// Gives it what is asked for from outside, in any combination.
    private mutating func expose(_ service: Service) -> Service {
        var service = service
        if service.kind == .clusterIP {
            service.kind = [.clusterIP, .nodePort, .loadBalancer][random.number(0...2)]
        }
        let outside = ["192.0.2.1", "192.0.2.2", "10.96.0.3", "2001:db8::1", "fd00::3"].map(ip)
        for index in service.ports.indices where random.once(in: 2) {
            service.ports[index].nodePort = UInt16(random.number(30_000...30_002))
        }
        if random.once(in: 2) { service.externalTrafficPolicy = .local }
        if random.once(in: 3) { service.externalIPs = some(outside) }
        service.loadBalancerIPs = some(outside)
        if random.once(in: 2) {
            service.sourceRanges = some(
                [
                    "10.0.0.0/8", "10.1.0.0/16", "9.0.0.0/8", "0.0.0.0/1", "128.0.0.0/1", "0.0.0.0/0",
                    "255.0.0.0/8", "2001:db8::/32", "2000::/3", "8000::/1", "ff00::/8",
                ].map(network))
        }
        return service
    }

    private mutating func some<Value>(_ values: [Value]) -> [Value] {
        Array(values.shuffled(using: &random).prefix(random.number(0...values.count)))
    }

    private mutating func makeNode() -> Node {
        Node(
            name: "node", zone: random.once(in: 2) ? "a" : nil,
            addresses: some(["10.0.0.10", "10.1.0.10", "2001:db8::1"].map(ip)))
    }

    private mutating func makeSlice() -> EndpointSlice {
        let service = random.number(0...8)
        let family: AddressFamily = random.once(in: 3) ? .ipv6 : .ipv4
        let count = random.once(in: 8) ? 0 : random.number(1...5)
        let endpoints = (0..<count).map { _ in
            let host = random.number(1...12)
            let isTerminating = random.once(in: 5)
            return EndpointSlice.Endpoint(
                address: family == .ipv4
                    ? IPAddress(ipv4: 0x0af4_0000 + UInt32(host))
                    : IPAddress(high: 0xfd00_0244 << 32, low: UInt64(host)),
                isReady: !isTerminating && !random.once(in: 8), isServing: !random.once(in: 8),
                isTerminating: isTerminating,
                nodeName: [nil, "node", "other"][random.number(0...2)])
        }
        let target = UInt16(random.once(in: 5) ? 9090 : 8080)
        let ports: [EndpointSlice.Port] = [
            .init(port: target), .init(transport: .udp, port: target), .init(name: "http", port: target),
            .init(name: "dns", transport: .udp, port: 53), .init(name: "admin", port: 8081),
        ]
        return EndpointSlice(
            name: name("s\(service)-\(random.number(0...2))"), service: name("s\(service)"), family: family,
            endpoints: endpoints, ports: ports)
    }

    private mutating func makeCIDR() -> ServiceCIDR {
        let all = [
            "10.96.0.0/16", "10.96.128.0/17", "10.97.0.0/16", "0.0.0.0/0", "255.255.0.0/16", "fd00::/112",
            "fd00::/108", "ff00::/8",
        ]
        return ServiceCIDR(
            name: "cidr-\(random.number(0...2))",
            networks: all.shuffled(using: &random).prefix(random.number(0...3)).map(network))
    }

    // MARK: What else happens

    /// What a kernel does wrong next; nil for nothing.
    mutating func fault() -> Mishap? {
        switch random.number(0...9) {
        case 0: .refused
        case 1: .lost(isApplied: true)
        case 2: .lost(isApplied: false)
        case 3: .unreadable
        default: nil
        }
    }

    enum Mishap {
        case refused, unreadable
        case lost(isApplied: Bool)
    }
}
