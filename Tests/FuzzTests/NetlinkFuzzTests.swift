import Agent
import Conntrack
import Fuzzing
import Glibc
import HostNetwork
import IPAddressing
import Manifests
import NFTables
import NFTablesKernel
import Netlink
import Ruleset
import SeededRandom
import ServiceModel
import TestNetwork
import Testing

/// What comes from the kernel is read as if anybody could have written it: an agent that ends for a message it doesn't
/// know leaves a node without one.
@Suite("Damaged netlink messages", .timeLimit(Fuzzing.suiteLimit))
struct NetlinkFuzzTests {
    @Test("dumps of nf_tables, connection tracking and addresses are read, or passed over")
    func written() async throws {
        try await damage(try NetlinkCorpus.written(), "netlink, as written", inputs: 20_000)
    }

    @Test(
        "so are those that this kernel made",
        .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)))
    func recorded() async throws {
        try await damage(try NetlinkCorpus.recorded(), "netlink, as dumped", inputs: 4000)
    }

    @Test("noise is no message")
    func noise() async {
        await Fuzzing.run("netlink, noise", inputs: 5000) { random in
            Self.read(random.bytes(0...400))
        }
    }

    private func damage(_ corpus: NetlinkCorpus, _ what: String, inputs: Int) async throws {
        for datagram in corpus.rules + corpus.conntrack + corpus.addresses {
            #expect(Self.read(datagram), "not read even undamaged: \(datagram)")
        }
        let all = corpus.rules + corpus.conntrack + corpus.addresses
        let (_, accepted) = await Fuzzing.run(what, inputs: inputs) { random in
            Self.read(Self.damaged(random.pick(all), &random))
        }
        #expect(accepted > 0)
    }

    /// Damaged anywhere, or in the lengths and types of attributes, with a header that fits or not.
    private static func damaged(_ datagram: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = datagram
        switch random.number(0...3) {
        case 0: bytes = random.mutated(bytes)
        case 1: bytes.removeSubrange(random.number(0...bytes.count)...)
        default:
            for _ in 0..<random.number(1...4) {
                // Headers of attributes begin at multiples of four, behind those of the message.
                let at = random.number(5...max(5, bytes.count / 4)) * 4
                guard at + 4 <= bytes.count else { continue }
                switch random.number(0...4) {
                case 0: bytes[at] = UInt8(random.number(0...40))
                case 1: bytes[at + 1] = random.pick([0, 1, 0xff])
                case 2: bytes[at + 2] = UInt8(random.number(0...40))
                case 3: bytes.replaceSubrange(at..<at + 4, with: random.bytes(4...4))
                default: bytes.removeSubrange(at..<min(bytes.count, at + 4 * random.number(1...3)))
                }
            }
        }
        if random.once(in: 2), bytes.count >= 16 {
            for shift in 0..<4 { bytes[shift] = UInt8(bytes.count >> (8 * shift) & 255) }
        }
        return bytes
    }

    /// Everything that reads messages, over one datagram; true when something was made of it.
    private static func read(_ datagram: [UInt8]) -> Bool {
        GuardedMemory.with(datagram) { bytes in
            var isRead = false
            try? NetlinkMessage.forEach(in: bytes) { message in
                _ = (message.errorCode, message.errorText)
                var table = Connection.parseTable(message) ?? Table(NetlinkCorpus.table)
                isRead = isRead || Connection.parseTable(message) != nil
                if let set = NamedSet(message, in: NetlinkCorpus.table) {
                    table.sets[set.name] = set
                    table.elements[set.name] = Element.read(message)
                    isRead = true
                }
                if let chain = Chain(message, in: NetlinkCorpus.table) { table.chains[chain.name] = chain }
                if let (chain, rule) = Rule.read(message, in: NetlinkCorpus.table) {
                    table.chains[chain] = Chain(chain, rules: [rule])
                }
                let elements = Element.read(message)
                if !elements.isEmpty {
                    table.sets["elements"] = NamedSet("elements", key: Shape(.ipv4Address))
                    table.elements["elements"] = elements
                }
                isRead = isRead || !table.chains.isEmpty || !elements.isEmpty
                // What was read is told, too: in logs, and by whoever prints a table.
                _ = NFTText.text(of: table)
                _ = NFTJSON.text(of: table)
                if let entry = ConntrackEntry(message) {
                    _ = "\(entry)"
                    isRead = true
                }
                return true
            }
            try? RouteMessage.forEach(in: bytes) { message in
                _ = message.errorCode
                if let address = HostAddress(message) {
                    _ = "\(address)"
                    isRead = true
                }
                if message.interfaceName != nil { isRead = true }
                return true
            }
            // The end of a dump, and what isn't ours, says nothing of objects.
            return isRead || datagram.count >= 16 && datagram[4] == 3
                || datagram.contains(Array("other".utf8))
        }
    }
}

extension NetlinkFuzzTests {
    private static let manifest = """
        apiVersion: v1
        kind: Service
        metadata: {name: web}
        spec:
          type: LoadBalancer
          clusterIPs: [10.96.0.10, "fd00:96::10"]
          ports: [{name: http, port: 80, nodePort: 30080}, {name: dns, protocol: UDP, port: 53}]
          sessionAffinity: ClientIP
          externalTrafficPolicy: Local
          externalIPs: [192.0.2.9]
          loadBalancerSourceRanges: [192.0.2.0/24]
        status: {loadBalancer: {ingress: [{ip: 203.0.113.1}]}}
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
        addressType: IPv4
        endpoints: [{addresses: [10.0.0.1], nodeName: n}, {addresses: [10.0.0.2]}, {addresses: [10.0.0.3]}]
        ports: [{name: http, port: 8080}, {name: dns, protocol: UDP, port: 5353}]
        """

    @Test("a table of ours that others have damaged is taken over and put right, whatever is in it")
    func damagedTable() async throws {
        let settings = ProxySettings(nodeName: "n")
        var planner = Planner(settings: settings)
        planner.apply(ManifestParser.parse(Self.manifest, source: "f").objects)
        let plans = planner.step().plans
        var compiler = RulesetCompiler(nodeName: "n")
        _ = compiler.update(plans)
        let whole = AddressFamily.allCases.map { compiler.table($0) }
        let buffer = MessageBuffer()
        let encoder = BatchEncoder(buffer: buffer, firstSequence: 1)
        for operation in compiler.repair([:]).operations { try encoder.append(operation) }
        encoder.finish()
        let messages = NetlinkCorpus.messages(in: Array(buffer.bytes))
        let undamaged = Self.tables(messages)
        #expect(undamaged[.ipv4]?.chains.count == whole[0].chains.count)
        #expect(compiler.repair(undamaged).isEmpty, "\(compiler.repair(undamaged))")
        await Fuzzing.run("a table of ours, damaged", inputs: 150) { random in
            let tables = Self.tables(
                messages.compactMap { message in
                    if random.once(in: 40) { return nil }
                    return random.once(in: 8) ? Self.damaged(message, &random) : message
                })
            var next = RulesetCompiler(nodeName: "n")
            next.adopt(tables)
            _ = next.updateBeforeRepair(plans)
            next.endAdoption()
            let repair = next.repair(tables)
            // What puts it right must be something that can be sent.
            let encoder = BatchEncoder(buffer: MessageBuffer(), firstSequence: 1)
            var isSendable = true
            for operation in repair.operations {
                do { try encoder.append(operation) } catch { isSendable = false }
            }
            #expect(isSendable)
            return repair.operations.isEmpty
        }
    }

    /// Both tables, put together as a dump is.
    private static func tables(_ messages: [[UInt8]]) -> [AddressFamily: Table] {
        var tables: [AddressFamily: Table] = [:]
        for message in messages {
            GuardedMemory.with(message) { bytes in
                try? NetlinkMessage.forEach(in: bytes) { message in
                    // nfgenmsg begins with the family: 2 or 10.
                    let family: AddressFamily = bytes.count > 16 && bytes[16] == 10 ? .ipv6 : .ipv4
                    let id = ObjectNames.tableID(family)
                    // NFT_MSG_NEWTABLE, CHAIN, RULE, SET, SETELEM
                    switch message.subtype {
                    case 0: tables[family] = Connection.parseTable(message).flatMap { $0.id == id ? $0 : nil }
                    case 3:
                        if let chain = Chain(message, in: id) { tables[family]?.chains[chain.name] = chain }
                    case 6:
                        if let (chain, rule) = Rule.read(message, in: id) {
                            tables[family]?.chains[chain]?.rules.append(rule)
                        }
                    case 9:
                        if let set = NamedSet(message, in: id) { tables[family]?.sets[set.name] = set }
                    case 12:
                        let attributes = Attributes(of: message)
                        // NFTA_SET_ELEM_LIST_SET
                        if let name = attributes.first(where: { $0.type == 2 })?.string {
                            tables[family]?.elements[name, default: []] += Element.read(message)
                        }
                    default: break
                    }
                    return true
                }
            }
        }
        return tables
    }
}

/// Bytes with a page behind them that nobody may read: reading on past the end ends the process.
enum GuardedMemory {
    static func with<T>(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) -> T) -> T {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        // Messages lie at multiples of four.
        let room = (bytes.count + 3) & ~3
        let pages = max(1, (room + page - 1) / page)
        guard
            let start = mmap(
                nil, (pages + 1) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            start != MAP_FAILED, mprotect(start + pages * page, page, PROT_NONE) == 0
        else { preconditionFailure("out of memory") }
        defer { munmap(start, (pages + 1) * page) }
        let memory = UnsafeMutableRawBufferPointer(
            start: start + pages * page - room, count: bytes.count)
        memory.copyBytes(from: bytes)
        return body(UnsafeRawBufferPointer(memory))
    }
}
