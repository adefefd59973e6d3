import IPAddressing
public import NFTables

/// The nf_tables virtual machine (net/netfilter/nf_tables_core.c) for one hook and one packet.
struct Machine {
    /// What a base chain does with a packet.
    enum Outcome: Equatable {
        case accept
        case drop
        case refuse(Fate.Refusal)
    }

    /// The packet as this hook sees it.
    struct View {
        var tuple: Tuple
        var mark: UInt32
        var inputInterface: String?
        var outputInterface: String?
        /// Nil before conntrack's own hook.
        var connection: Connection?
        var isNew: Bool
        var isReply: Bool
    }

    /// `NFT_JUMP_STACK_SIZE`
    private static let stackLimit = 16

    let node: Node
    let now: UInt64
    var view: View
    var steps: [TraceStep] = []
    private var registers = [UInt8](repeating: 0, count: 64)

    init(node: Node, now: UInt64, view: View) {
        self.node = node
        self.now = now
        self.view = view
    }

    /// What one rule leads to.
    private enum Flow {
        /// An expression didn't match.
        case broken
        case next
        case verdict(Verdict)
        case refused(Fate.Refusal)
        /// `reject with tcp reset` answers nothing but TCP.
        case silentlyDropped
    }

    mutating func run(baseChain name: String, of table: inout LiveTable, nat: inout NATRequest?) -> Outcome {
        var chain = name
        var position = 0
        var stack: [(chain: String, position: Int)] = []
        while true {
            guard let rules = table.chains[chain]?.rules, position < rules.count else {
                guard let back = stack.popLast() else { break }
                (chain, position) = back
                continue
            }
            let flow = evaluate(rule: position, of: chain, in: &table, nat: &nat)
            var isMatch = true
            if case .broken = flow { isMatch = false }
            steps.append(
                TraceStep(table: table.frame, chain: chain, rule: rules[position].rule, isMatch: isMatch))
            position += 1
            switch flow {
            case .broken, .next: break
            case .refused(let refusal): return .refuse(refusal)
            case .silentlyDropped: return .drop
            case .verdict(.accept): return .accept
            case .verdict(.drop): return .drop
            case .verdict(.continue): break
            case .verdict(.return):
                guard let back = stack.popLast() else { return policy(of: name, in: table) }
                (chain, position) = back
            case .verdict(.jump(let target)):
                precondition(stack.count < Self.stackLimit, "jumps nest deeper than the kernel's stack")
                stack.append((chain, position))
                (chain, position) = (target, 0)
            case .verdict(.goto(let target)): (chain, position) = (target, 0)
            }
        }
        return policy(of: name, in: table)
    }

    private func policy(of chain: String, in table: LiveTable) -> Outcome {
        table.chains[chain]?.definition.base?.policy == .drop ? .drop : .accept
    }

    private mutating func evaluate(
        rule position: Int, of chain: String, in table: inout LiveTable, nat: inout NATRequest?
    ) -> Flow {
        guard let expressions = table.chains[chain]?.rules[position].rule.expressions else { return .broken }
        for index in expressions.indices {
            let expression = expressions[index]
            switch expression {
            case .meta, .payload, .conntrack, .fib:
                guard load(expression) else { return .broken }
            case .immediate(let value, let into): store(value.bytes, at: into)
            case .setMeta(let key, let from):
                guard key == .mark else { return .broken }
                view.mark = hostNumber(at: from)
            case .compare(let register, let comparison, let value):
                guard compare(read(register, value.count), comparison, value.bytes) else { return .broken }
            case .bitwise(let from, let into, let mask, let xor):
                let bytes = read(from, mask.count)
                store(zip(bytes, zip(mask.bytes, xor.bytes)).map { $0 & $1.0 ^ $1.1 }, at: into)
            case .lookup(let name, let register, let target):
                guard let flow = lookup(name, register, target, in: table) else { return .broken }
                if case .verdict = flow { return flow }
            case .verdict(let verdict):
                return .verdict(verdict)
            case .numgen(let kind, let modulus, let offset, let into):
                let counter = table.chains[chain]?.rules[position].counters[index] ?? 0
                let number = kind == .incremental ? counter : UInt32.random(in: 0..<modulus)
                table.chains[chain]?.rules[position].counters[index] = counter + 1 < modulus ? counter + 1 : 0
                store(bytes(number &+ offset), at: into)
            case .nat(let kind, let family, let address, let port, _):
                let length = family == .ip6 ? 16 : 4
                nat = NATRequest(
                    isDestination: kind == .destination,
                    address: address.flatMap { IPAddress(bytes: read($0, length)) },
                    port: port.map { UInt16(read($0, 2)[0]) << 8 | UInt16(read($0, 2)[1]) })
                return .verdict(.accept)
            case .masquerade:
                let family = view.tuple.source.address.family
                guard let address = node.masqueradeAddress(family, by: view.outputInterface) else {
                    return .verdict(.drop)
                }
                nat = NATRequest(isDestination: false, address: address, port: nil)
                return .verdict(.accept)
            case .reject(.tcpReset): return view.tuple.protocol == .tcp ? .refused(.reset) : .silentlyDropped
            case .reject(.unreachable(let code)): return .refused(.unreachable(code: code))
            case .dynamicSet(let operation, let name, let key, let data, let timeout):
                guard let set = table.sets[name] else { return .broken }
                let key = RegisterValue(read(key, set.definition.key.length))
                var value: RegisterValue?
                if let data, case .value(let shape)? = set.definition.data {
                    value = RegisterValue(read(data, shape.length))
                }
                let done = table.sets[name]?.change(operation, key, value, timeout: timeout, now: now)
                guard done == true else { return .broken }
            case .counter: break
            case .unsupported(let name): preconditionFailure("the simulator can't run \(name)")
            }
        }
        return .next
    }

    private mutating func lookup(
        _ name: String, _ register: Register, _ target: Expression.LookupTarget, in table: LiveTable
    ) -> Flow? {
        guard let set = table.sets[name] else { return nil }
        let found = set.find(RegisterValue(read(register, set.definition.key.length)), now: now)
        switch target {
        case .membership: return found == nil ? nil : .next
        case .absence: return found == nil ? .next : nil
        case .data(let into):
            guard case .value(let value)? = found?.data else { return nil }
            store(value.bytes, at: into)
            return .next
        case .verdict:
            guard case .verdict(let verdict)? = found?.data else { return nil }
            return .verdict(verdict)
        }
    }

    private func compare(_ a: [UInt8], _ comparison: Expression.Comparison, _ b: [UInt8]) -> Bool {
        switch comparison {
        case .equal: a == b
        case .notEqual: a != b
        case .less: a.lexicographicallyPrecedes(b)
        case .lessOrEqual: !b.lexicographicallyPrecedes(a)
        case .greater: b.lexicographicallyPrecedes(a)
        case .greaterOrEqual: !a.lexicographicallyPrecedes(b)
        }
    }

    // MARK: Registers

    private func read(_ register: Register, _ count: Int) -> [UInt8] {
        Array(registers[(register.index * 4)..<(register.index * 4 + count)])
    }

    /// Writes whole registers: the kernel zeroes the rest of the last one.
    private mutating func store(_ bytes: [UInt8], at register: Register) {
        let start = register.index * 4
        // Runs for every expression of hundreds of thousands of packets: no sequence of pairs, slow in debug builds.
        registers.replaceSubrange(start..<start + bytes.count, with: bytes)
        var end = start + bytes.count
        while end % 4 != 0 {
            registers[end] = 0
            end += 1
        }
    }

    private func hostNumber(at register: Register) -> UInt32 {
        read(register, 4).withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
    }

    private func bytes(_ number: UInt32) -> [UInt8] { withUnsafeBytes(of: number) { Array($0) } }

    // MARK: Loads

    /// False where the kernel ends the rule since there is nothing to load.
    private mutating func load(_ expression: Expression) -> Bool {
        switch expression {
        case .meta(let key, let into):
            guard let value = value(of: key) else { return false }
            store(value, at: into)
        case .payload(let base, let offset, let length, let into):
            let header =
                switch base {
                case .link: [UInt8]()
                case .network: Header.network(view.tuple)
                case .transport: Header.transport(view.tuple)
                }
            guard Int(offset + length) <= header.count else { return false }
            store(Array(header[Int(offset)..<Int(offset + length)]), at: into)
        case .conntrack(let key, let direction, let into):
            guard let value = value(of: key, direction) else { return false }
            store(value, at: into)
        case .fib(.addressType, let flags, let into):
            let address = flags.contains(.daddr) ? view.tuple.destination.address : view.tuple.source.address
            store(bytes(node.isLocal(address) ? 2 : address.isMulticast ? 5 : 1), at: into)
        case .fib(let result, let flags, let into):
            let address = flags.contains(.daddr) ? view.tuple.destination.address : view.tuple.source.address
            let interface = node.outputInterface(for: address)
            store(
                result == .outputInterface ? bytes(node.index(of: interface)) : Self.name(interface), at: into
            )
        default: return false
        }
        return true
    }

    private static func name(_ interface: String) -> [UInt8] {
        let bytes = Array(interface.utf8.prefix(15))
        return bytes + [UInt8](repeating: 0, count: 16 - bytes.count)
    }

    private func value(of key: Expression.MetaKey) -> [UInt8]? {
        let family = view.tuple.destination.address.family
        switch key {
        case .length:
            return bytes(UInt32(Header.network(view.tuple).count + Header.transport(view.tuple).count))
        case .protocolNumber: return family == .ipv4 ? [0x08, 0x00] : [0x86, 0xdd]
        case .mark: return bytes(view.mark)
        // nft_meta_store_ifindex and nft_meta_store_ifname: without a device they load zero and the empty name, so
        // that `iifname != "eth0"` matches what this host sends.
        case .inputInterface: return bytes(view.inputInterface.map(node.index) ?? 0)
        case .outputInterface: return bytes(view.outputInterface.map(node.index) ?? 0)
        case .inputInterfaceName: return Self.name(view.inputInterface ?? "")
        case .outputInterfaceName: return Self.name(view.outputInterface ?? "")
        case .nfproto: return [family == .ipv4 ? 2 : 10]
        case .l4proto: return [view.tuple.protocol.rawValue]
        }
    }

    private func value(of key: Expression.ConntrackKey, _ direction: Expression.Direction?) -> [UInt8]? {
        guard let connection = view.connection else { return nil }
        let tuple = direction == .reply ? connection.reply : connection.original
        func address(_ address: IPAddress, _ family: AddressFamily?) -> [UInt8]? {
            family == nil || family == address.family ? address.bytes : nil
        }
        switch key {
        case .state: return bytes(view.isNew ? 8 : 2)
        case .direction: return [view.isReply ? 1 : 0]
        case .status: return bytes(connection.status.rawValue)
        case .mark: return bytes(0)
        case .l3protocol: return [tuple.source.address.family == .ipv4 ? 2 : 10]
        case .sourceAddress: return address(tuple.source.address, nil)
        case .destinationAddress: return address(tuple.destination.address, nil)
        case .protocolNumber: return [tuple.protocol.rawValue]
        case .sourcePort: return Header.bigEndian(tuple.source.port)
        case .destinationPort: return Header.bigEndian(tuple.destination.port)
        case .sourceAddress4: return address(tuple.source.address, .ipv4)
        case .destinationAddress4: return address(tuple.destination.address, .ipv4)
        case .sourceAddress6: return address(tuple.source.address, .ipv6)
        case .destinationAddress6: return address(tuple.destination.address, .ipv6)
        }
    }
}

/// What a NAT expression asks for.
struct NATRequest {
    var isDestination: Bool
    var address: IPAddress?
    var port: UInt16?
}

/// The bytes that payload expressions read.
enum Header {
    static func bigEndian(_ port: UInt16) -> [UInt8] {
        [UInt8(truncatingIfNeeded: port >> 8), UInt8(truncatingIfNeeded: port)]
    }

    /// RFC 791 without options, RFC 8200 without extension headers.
    static func network(_ tuple: Tuple) -> [UInt8] {
        let (from, to) = (tuple.source.address.bytes, tuple.destination.address.bytes)
        let length = bigEndian(UInt16(transport(tuple).count + (from.count == 4 ? 20 : 0)))
        if from.count == 4 {
            return [0x45, 0] + length + [0, 0, 0x40, 0, 64, tuple.protocol.rawValue, 0, 0] + from + to
        }
        return [0x60, 0, 0, 0] + length + [tuple.protocol.rawValue, 64] + from + to
    }

    /// RFC 9293 without options, RFC 768, or the common header of RFC 9260.
    static func transport(_ tuple: Tuple) -> [UInt8] {
        let ports = bigEndian(tuple.source.port) + bigEndian(tuple.destination.port)
        switch tuple.protocol {
        case .tcp: return ports + [0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]
        case .udp: return ports + [0, 8, 0, 0]
        case .sctp: return ports + [0, 0, 0, 0, 0, 0, 0, 0]
        }
    }
}

/// A rule that a packet met.
public struct TraceStep: Sendable {
    let table: Table
    /// The chain's name.
    public let chain: String
    public let rule: Rule
    /// False when an expression ended the rule.
    public let isMatch: Bool
}

extension TraceStep: CustomStringConvertible {
    /// `✓ ip sluice dispatch: ip daddr @cluster-ips goto refuse`, with a dot for a rule that didn't match.
    public var description: String {
        "\(isMatch ? "✓" : "·") \(table.id) \(chain): \(NFTText.rule(rule, in: table))"
    }
}
