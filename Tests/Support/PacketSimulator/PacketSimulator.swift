import IPAddressing
public import NFTables

/// Runs packets through tables as the kernel's hooks do, conntrack and NAT included.
///
/// What decides the fate of a service's packets is modelled: which hooks run in which order, that NAT chains see
/// the first packet of a connection only, the register machine, `numgen` counters, sets that packets change.
/// Routing is a list of networks; there are no fragments, no ICMP packets and no conntrack timeouts.
public struct PacketSimulator: Sendable {
    /// What became of one packet.
    public struct Result: Sendable {
        public let packet: Packet
        public let fate: Fate
        /// The rules that it met, in order.
        public let steps: [TraceStep]
        /// How many rules it met: none on an established connection, as long as all base chains are of type nat.
        public var rulesMet: Int { steps.count }
        /// The steps as text.
        public var trace: [String] { steps.map(\.description) }
    }

    /// Milliseconds, as the timeouts of sets count.
    public var now: UInt64
    public var node: Node
    var tables: [TableID: LiveTable] = [:]
    private var conntrack = ConntrackTable()

    public init(_ tables: Table..., node: Node, now: UInt64 = 0) {
        self.node = node
        self.now = now
        for table in tables { self.tables[table.id] = LiveTable(table, now: now) }
    }

    /// The conntrack table, in no order.
    public var connections: [Connection] { conntrack.all }

    /// Deletes conntrack entries.
    public mutating func forget(where condition: (Connection) -> Bool = { _ in true }) {
        conntrack.remove(where: condition)
    }

    /// Puts a table in the place of its older self, as a transaction that flushes and fills each chain that
    /// differs: counters start again there and stay elsewhere, and dynamic sets keep what packets wrote.
    public mutating func update(_ table: Table) {
        if tables[table.id] == nil {
            tables[table.id] = LiveTable(table, now: now)
        } else {
            tables[table.id]?.update(table, now: now)
        }
    }

    /// A table as a dump would show it now: expired elements are gone, others tell the time they have left.
    public func table(_ id: TableID) -> Table? { tables[id]?.snapshot(now: now) }

    /// Sends a packet; a second one of the same connection follows the first.
    public mutating func send(_ packet: Packet) -> Result {
        var passage = Passage(packet)
        let tuple = Tuple(protocol: packet.protocol, source: packet.source, destination: packet.destination)
        if let (connection, isReply) = conntrack.find(tuple) {
            passage.connection = connection
            passage.isNew = false
            passage.isReply = isReply
        }
        let fate = run(&passage)
        return Result(packet: packet, fate: fate, steps: passage.steps)
    }

    /// A packet on its way through the hooks.
    private struct Passage {
        var connection: Connection
        var isNew = true
        var isReply = false
        var mark: UInt32
        var input: String?
        var output: String?
        /// The packet as it is now.
        var tuple: Tuple
        var steps: [TraceStep] = []
        let packet: Packet

        init(_ packet: Packet) {
            self.packet = packet
            connection = Connection(packet)
            tuple = connection.original
            mark = packet.mark
            if case .forwarded(let interface) = packet.origin { input = interface }
        }
    }

    private mutating func run(_ passage: inout Passage) -> Fate {
        // In each case the first hook that says something else than accept decides.
        switch passage.packet.origin {
        case .forwarded:
            if let end = run(.prerouting, &passage) { return end }
            if node.isLocal(passage.tuple.destination.address) {
                if let end = run(.input, &passage) { return end }
            } else {
                passage.output = node.outputInterface(for: passage.tuple.destination.address)
                if let end = run(.forward, &passage) { return end }
                passage.input = nil
                if let end = run(.postrouting, &passage) { return end }
            }
        case .local:
            passage.output = node.outputInterface(for: passage.tuple.destination.address)
            if let end = run(.output, &passage) { return end }
            // Routed again where the destination was translated.
            passage.output = node.outputInterface(for: passage.tuple.destination.address)
            if let end = run(.postrouting, &passage) { return end }
            if node.isLocal(passage.tuple.destination.address) {
                // Over the loopback interface it comes in again; both halves of its translation are settled.
                passage.output = nil
                passage.input = "lo"
                if let end = run(.prerouting, &passage) { return end }
                if let end = run(.input, &passage) { return end }
            }
        }
        if passage.isNew {
            passage.connection.status.insert(.confirmed)
            conntrack.insert(passage.connection)
        }
        return fate(of: passage)
    }

    private func fate(of passage: Passage) -> Fate {
        let (tuple, packet) = (passage.tuple, passage.packet)
        if tuple.destination == packet.destination, tuple.source == packet.source {
            return .untouched(to: tuple.destination, source: tuple.source)
        }
        return .delivered(
            to: tuple.destination, source: tuple.source,
            masqueraded: passage.connection.status.contains(.snat))
    }

    /// A base chain, or the place where NAT happens, at a hook.
    private enum Entry {
        case chain(TableID, String)
        case nat
    }

    private func entries(_ hook: BaseChain.Hook, family: AddressFamily) -> [(priority: Int32, entry: Entry)] {
        var entries: [(priority: Int32, entry: Entry)] = []
        for (id, name, base) in baseChains(at: hook, family: family) where base.kind != .nat {
            entries.append((base.priority, .chain(id, name)))
        }
        // NF_IP_PRI_NAT_DST and NF_IP_PRI_NAT_SRC; conntrack itself is at -200. The priorities of nat chains
        // only order them among themselves.
        switch hook {
        case .prerouting, .output: entries.append((-100, .nat))
        case .input, .postrouting: entries.append((100, .nat))
        case .forward: break
        }
        return entries.sorted { $0.priority < $1.priority }
    }

    private func baseChains(
        at hook: BaseChain.Hook, family: AddressFamily
    ) -> [(TableID, String, BaseChain)] {
        var found: [(TableID, String, BaseChain)] = []
        for (id, table) in tables {
            guard id.family == .inet || id.family == (family == .ipv4 ? .ip : .ip6) else { continue }
            for name in table.baseChains {
                guard let base = table.chains[name]?.definition.base, base.hook == hook else { continue }
                found.append((id, name, base))
            }
        }
        // Equal priorities run in the order of registration, which a table value doesn't tell.
        return found.sorted { ($0.2.priority, $0.0, $0.1) < ($1.2.priority, $1.0, $1.1) }
    }

    /// Nil when the packet goes on.
    private mutating func run(_ hook: BaseChain.Hook, _ passage: inout Passage) -> Fate? {
        for (priority, entry) in entries(hook, family: passage.packet.family) {
            switch entry {
            case .chain(let id, let name):
                var ignored: NATRequest?
                let sawConntrack = priority > -200 || (hook != .prerouting && hook != .output)
                if let end = run(id, name, &passage, sawConntrack, &ignored) { return end }
            case .nat:
                if let end = translate(at: hook, &passage) { return end }
            }
        }
        return nil
    }

    private mutating func run(
        _ id: TableID, _ chain: String, _ passage: inout Passage, _ sawConntrack: Bool,
        _ nat: inout NATRequest?
    ) -> Fate? {
        guard var table = tables.removeValue(forKey: id) else { return nil }
        defer { tables[id] = table }
        let view = Machine.View(
            tuple: passage.tuple, mark: passage.mark, inputInterface: passage.input,
            outputInterface: passage.output, connection: sawConntrack ? passage.connection : nil,
            isNew: passage.isNew, isReply: passage.isReply)
        var machine = Machine(node: node, now: now, view: view)
        let outcome = machine.run(baseChain: chain, of: &table, nat: &nat)
        passage.mark = machine.view.mark
        passage.steps += machine.steps
        switch outcome {
        case .accept: return nil
        case .drop: return .dropped
        case .refuse(let refusal): return .refused(refusal)
        }
    }

    /// `nf_nat_inet_fn`: the nat chains of a hook are asked for a new connection, until one translates.
    private mutating func translate(at hook: BaseChain.Hook, _ passage: inout Passage) -> Fate? {
        let isDestination = hook == .prerouting || hook == .output
        let done: Connection.Status = isDestination ? .dnatDone : .snatDone
        if passage.isNew, !passage.connection.status.contains(done) {
            var request: NATRequest?
            for (id, name, base) in baseChains(at: hook, family: passage.packet.family)
            where base.kind == .nat {
                if let end = run(id, name, &passage, true, &request) { return end }
                if request != nil { break }
            }
            if let request {
                precondition(request.isDestination == isDestination, "dnat and snat have hooks")
            }
            guard bind(&passage.connection, isDestination, request) else { return .dropped }
            passage.connection.status.insert(done)
        }
        apply(isDestination, &passage)
        return nil
    }

    /// Writes the translation into the connection; without a request, source ports that clash still change.
    private func bind(_ connection: inout Connection, _ isDestination: Bool, _ request: NATRequest?) -> Bool {
        var tuple = connection.translated
        if isDestination {
            let address = request?.address ?? tuple.destination.address
            tuple.destination = AddressPort(address, request?.port ?? tuple.destination.port)
        } else {
            tuple.source = AddressPort(
                request?.address ?? tuple.source.address, request?.port ?? tuple.source.port)
            var tries = 0
            while conntrack.isTaken(reply: tuple.reversed) {
                tries += 1
                guard tries < 65536 else { return false }
                let next = tuple.source.port == .max ? 1024 : max(1024, tuple.source.port + 1)
                tuple.source = AddressPort(tuple.source.address, next)
            }
        }
        if tuple != connection.translated { connection.status.insert(isDestination ? .dnat : .snat) }
        connection.reply = tuple.reversed
        return true
    }

    /// Rewrites the packet's destination at the first NAT hook, its source at the second; in the other direction
    /// of the connection the same places undo it.
    private func apply(_ isDestination: Bool, _ passage: inout Passage) {
        let target =
            passage.isReply ? passage.connection.original.reversed : passage.connection.translated
        if isDestination {
            passage.tuple.destination = target.destination
        } else {
            passage.tuple.source = target.source
        }
    }
}
