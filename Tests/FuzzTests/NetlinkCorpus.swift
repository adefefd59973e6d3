import Conntrack
import Glibc
import IPAddressing
import NFTables
import NFTablesKernel
import TestNetwork
import Testing

struct DumpFailure: Error { let errno: Int32 }

/// Real netlink messages, to be damaged.
struct NetlinkCorpus {
    /// Of nf_tables, one datagram or message each.
    var rules: [[UInt8]] = []
    var conntrack: [[UInt8]] = []
    var addresses: [[UInt8]] = []

    static let table = TableID(.ip, "fuzz")

    /// As Sluice itself writes them, which is the form in which the kernel answers; needs no kernel.
    static func written() throws -> NetlinkCorpus {
        let buffer = MessageBuffer()
        let encoder = BatchEncoder(buffer: buffer, firstSequence: 7)
        for operation in operations { try encoder.append(operation) }
        encoder.finish()
        var writer = RequestWriter()
        for (index, entry) in entries.enumerated() { writer.create(entry, sequence: UInt32(index)) }
        return NetlinkCorpus(
            // The batch's begin and end are of no object.
            rules: messages(in: Array(buffer.bytes)).filter { $0[5] == 10 },
            conntrack: messages(in: writer.bytes),
            addresses: [addressMessage, linkMessage])
    }

    /// What the kernel says of the same objects in a namespace of their own.
    static func recorded() throws -> NetlinkCorpus {
        let namespace = try Namespace("fuzz")
        defer { namespace.remove() }
        try namespace.loadRules(script)
        try namespace.ip([
            "link add veth0 type veth peer name veth1", "address add 192.0.2.1/24 dev veth0",
            "address add 2001:db8::1/64 dev veth0", "link set veth0 up",
        ])
        return try namespace.run {
            try ConntrackConnection().create(entries)
            let (netfilter, route): (Int32, Int32) = (12, 0)
            // GETTABLE, GETCHAIN, GETRULE, GETSET of subsystem 10; then the elements of each set.
            var rules = try [1, 4, 7, 10].flatMap { try dump(netfilter, type: 10 << 8 | $0, nfgenmsg) }
            for set in ["addresses", "services", "slots", "seen", "networks"] {
                let body = [2, 0, 0, 0] + attribute(1, "fuzz") + attribute(2, set)
                rules += try dump(netfilter, type: 10 << 8 | 13, body)
            }
            return NetlinkCorpus(
                rules: rules, conntrack: try dump(netfilter, type: 1 << 8 | 1, nfgenmsg),
                addresses: try dump(route, type: 22, [0, 0, 0, 0, 0, 0, 0, 0])
                    + dump(route, type: 18, [UInt8](repeating: 0, count: 16)))
        }
    }

    // MARK: Objects

    private static let script = """
        table ip fuzz {
            comment "a table"
            set addresses { type ipv4_addr . inet_proto . inet_service; comment "a set"
                elements = { 10.0.0.1 . tcp . 80, 10.0.0.2 . udp . 53 comment "an element" } }
            set networks { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.168.0.0/16 } }
            map services { type ipv4_addr . inet_service : verdict
                elements = { 10.96.0.1 . 443 : goto pool, 10.96.0.2 . 80 : drop } }
            map slots { typeof numgen inc mod 2 : ip daddr . th dport
                elements = { 0 : 10.0.0.1 . 80, 1 : 10.0.0.2 . 80 } }
            map seen { type ipv4_addr : ipv4_addr; flags dynamic,timeout; timeout 1h; size 1000
                elements = { 10.0.0.9 timeout 10m : 10.0.0.1 } }
            chain pool { comment "a chain"
                meta l4proto tcp dnat ip to numgen inc mod 2 map @slots comment "a rule"; }
            chain pre { type nat hook prerouting priority dstnat; policy accept;
                ip daddr . th dport vmap @services; }
            chain every {
                iifname "eth0" ct original ip daddr 10.96.0.1 counter masquerade fully-random
                fib daddr type local meta mark & 0xff == 1 reject with icmp port-unreachable
                ip saddr != @networks update @seen { ip saddr timeout 3h : ip daddr }
                limit rate 5/second log prefix "x"
                udp dport 5 ct mark set 7
                ct status dnat return
                meta l4proto tcp reject with tcp reset; }
        }
        table ip6 other { chain c { tcp option maxseg size set rt mtu; tcp dport { 22, 80-90 } accept; }; }
        """

    static let operations: [Operation] = {
        let sets = [
            NamedSet("addresses", key: Shape(.ipv4Address, .internetProtocol), comment: "a set"),
            NamedSet("services", key: Shape(.ipv4Address, .internetService), data: .verdict),
            NamedSet(
                "slots", key: Shape(typeof: .numgenIncremental(modulus: 2)),
                data: .value(Shape(typeof: .ipDaddr, .thDport))),
            NamedSet(
                "seen", key: Shape(.ipv4Address), data: .value(Shape(.ipv4Address)),
                flags: [.timeout, .dynamic], timeout: 30_000, size: 1000),
        ]
        let rules: [Rule] = [
            Rule(
                expressions: [
                    .meta(.l4proto, into: 0), .compare(0, .equal, RegisterValue([17])),
                    .numgen(.incremental, modulus: 3, offset: 65536, into: 0),
                    .lookup(set: "slots", key: 0, .data(0)),
                    .nat(.destination, .ip, address: 0, port: 1, flags: []),
                ], comment: "a rule"),
            Rule([.l4proto(.tcp), .member(.thDport, of: "ports"), .rejectTCPReset]),
            Rule(expressions: [
                .immediate(RegisterValue([10, 0, 0, 1]), into: 0),
                .immediate(RegisterValue([0, 80]), into: 4),
                .nat(.destination, .ip, address: 0, port: 4, flags: [.persistent, .random]),
            ]),
            Rule(expressions: [.verdict(.goto("pool"))]), Rule(expressions: [.counter, .verdict(.drop)]),
        ]
        let key = RegisterValue([10, 0, 0, 1, 0, 80, 0, 0])
        return sets.map { .addSet(table, $0) } + [
            .addChain(table, Chain("pool", comment: "a chain")),
            .addChain(table, Chain("pre", base: BaseChain(.nat, hook: .prerouting, priority: -100))),
        ] + rules.map { .addRule(table, chain: "pre", $0) } + [
            .addElements(
                table, set: "services",
                [Element(key, data: .verdict(.goto("pool"))), Element(key, data: .verdict(.drop))]),
            .addElements(table, set: "slots", [Element(RegisterValue([0, 0, 0, 1]), data: .value(key))]),
        ]
    }()

    private static let entries: [ConntrackEntry] = AddressFamily.allCases.flatMap { family in
        let (client, service, endpoint): (IPAddress, IPAddress, IPAddress) =
            family == .ipv4
            ? (IPAddress(ipv4: 0x0a00_0001), IPAddress(ipv4: 0x0a60_0001), IPAddress(ipv4: 0x0a00_0002))
            : (
                IPAddress(high: 0xfd00 << 48, low: 1), IPAddress(high: 0xfd00 << 48, low: 2),
                IPAddress(high: 0xfd00 << 48, low: 3)
            )
        return [UInt8(6), 17].map { transport in
            ConntrackEntry(
                transport: transport,
                original: .init(source: AddressPort(client, 4000), destination: AddressPort(service, 53)),
                reply: .init(source: AddressPort(endpoint, 5353), destination: AddressPort(client, 4000)),
                timeout: 60)
        }
    }

    // MARK: Messages

    private static let nfgenmsg: [UInt8] = [0, 0, 0, 0]

    private static func attribute(_ type: UInt8, _ text: String) -> [UInt8] {
        let bytes = Array(text.utf8) + [0]
        return [UInt8(bytes.count + 4), 0, type, 0] + bytes
            + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
    }

    /// RTM_NEWADDR of 192.0.2.1/24.
    private static let addressMessage: [UInt8] = [
        36, 0, 0, 0, 20, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // nlmsghdr
        2, 24, 0x80, 0, 2, 0, 0, 0,  // ifaddrmsg
        8, 0, 1, 0, 192, 0, 2, 1,  // IFA_ADDRESS
        4, 0, 8, 0,  // IFA_FLAGS, cut
    ]
    /// RTM_NEWLINK of eth0.
    private static let linkMessage: [UInt8] = [
        44, 0, 0, 0, 16, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // nlmsghdr
        0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // ifinfomsg
        9, 0, 3, 0, 0x65, 0x74, 0x68, 0x30, 0, 0, 0, 0,  // IFLA_IFNAME
    ]

    static func messages(in bytes: [UInt8]) -> [[UInt8]] {
        var rest = bytes[...]
        var messages: [[UInt8]] = []
        while rest.count >= 16 {
            let length = rest.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
            guard length >= 16, length <= rest.count else { break }
            messages.append(Array(rest.prefix(length)))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return messages
    }

    /// Asks the kernel for a dump in this thread's namespace, as whole datagrams.
    private static func dump(_ netlink: Int32, type: Int, _ body: [UInt8]) throws -> [[UInt8]] {
        // AF_NETLINK; unbound and unconnected, it speaks with the kernel.
        let socket = Glibc.socket(16, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), netlink)
        defer { close(socket) }
        let length = 16 + body.count
        let request: [UInt8] =
            [UInt8(length & 255), UInt8(length >> 8), 0, 0, UInt8(type & 255), UInt8(type >> 8), 1, 3]
            + [9, 0, 0, 0, 0, 0, 0, 0] + body
        guard send(socket, request, request.count, 0) == request.count else {
            throw DumpFailure(errno: errno)
        }
        var datagrams: [[UInt8]] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(socket, &buffer, buffer.count, 0)
            guard count > 0 else { throw DumpFailure(errno: errno) }
            let datagram = Array(buffer[..<count])
            datagrams.append(datagram)
            // NLMSG_ERROR, NLMSG_DONE
            let types = messages(in: datagram).map { Int($0[4]) | Int($0[5]) << 8 }
            if types.contains(2) { throw DumpFailure(errno: EINVAL) }
            if types.contains(3) { return datagrams }
        }
    }
}
