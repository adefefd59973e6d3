import NFTables
import Testing

@Suite("Tables as nft scripts")
struct NFTTextTests {
    @Test("a table is printed as nft lists it, sets by natural name, base chains last")
    func layout() {
        let text = NFTText.text(of: ServiceTable.make(.ip))
        let expected = """
            table ip sluice {
            \tcomment "services of this node"

            \tmap affinity-1-8080 {
            \t\ttype ipv4_addr : ipv4_addr
            \t\tsize 65535
            \t\tflags dynamic,timeout
            \t}

            \tset cluster-ips {
            \t\ttype ipv4_addr
            \t\telements = { 10.96.1.9,
            \t\t\t     10.96.1.10,
            \t\t\t     10.96.1.11,
            \t\t\t     10.96.1.12 }
            \t}

            \tmap direct {
            \t\ttype ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
            \t\telements = { 10.96.1.9 . tcp . 80 comment "default/one:http" : 10.1.1.1 . 8080 }
            \t}

            \tset hairpin {
            \t\ttype ipv4_addr . ipv4_addr
            \t\telements = { 10.1.1.1 . 10.1.1.1,
            \t\t\t     10.1.1.2 . 10.1.1.2 }
            \t}

            \tset protocols {
            \t\ttype inet_proto
            \t\telements = { tcp,
            \t\t\t     udp,
            \t\t\t     sctp }
            \t}

            \tmap remember {
            \t\ttype ipv4_addr . inet_proto . inet_service : verdict
            \t\telements = { 10.96.1.10 . tcp . 80 : jump remember-1 }
            \t}

            \tset service-cidrs {
            \t\ttype ipv4_addr
            \t\tflags interval
            \t\telements = { 10.96.0.0/16 }
            \t}

            \tmap services {
            \t\ttype ipv4_addr . inet_proto . inet_service : verdict
            \t\tcomment "virtual addresses"
            \t\telements = { 10.96.1.10 . tcp . 80 comment "default/web:http" : goto pool-1,
            \t\t\t     10.96.1.11 . tcp . 80 : goto pool-2,
            \t\t\t     10.96.1.12 . udp . 53 : goto refuse }
            \t}

            \tmap slots-2 {
            \t\ttypeof numgen inc mod 2 : ip daddr . th dport
            \t\telements = { 4096 : 10.1.1.1 . 80,
            \t\t\t     4097 : 10.1.1.2 . 80,
            \t\t\t     4098 : 10.1.1.3 . 80 }
            \t}

            \tmap slots-10 {
            \t\ttypeof numgen inc mod 2 : ip daddr . th dport
            \t\telements = { 4096 : 10.1.1.1 . 80,
            \t\t\t     4097 : 10.1.1.2 . 80,
            \t\t\t     4098 : 10.1.1.3 . 80 }
            \t}

            \tchain dispatch {
            \t\tmeta l4proto @protocols dnat ip to ip daddr . meta l4proto . th dport map @direct
            \t\tip daddr . meta l4proto . th dport vmap @services
            \t\tip daddr @cluster-ips goto refuse
            \t\tip daddr @service-cidrs drop
            \t}

            \tchain pool-1 {
            \t\tcomment "default/web:http"
            \t\tmeta l4proto tcp dnat to ip saddr map @affinity-1-8080:8080
            \t\tmeta l4proto tcp dnat ip to numgen inc mod 3 offset 4096 map @slots-2
            \t}

            \tchain pool-2 {
            \t\tmeta l4proto tcp dnat to 10.1.1.9:80 comment "only one"
            \t}

            \tchain refuse {
            \t\tmeta l4proto tcp reject with tcp reset
            \t\treject
            \t}

            \tchain remember-1 {
            \t\tth dport 8080 update @affinity-1-8080 { ip saddr timeout 3h : ip daddr }
            \t}

            \tchain input {
            \t\ttype nat hook input priority 100; policy accept;
            \t\tct status dnat ct protocol tcp ct original ip daddr . ct protocol . ct original proto-dst vmap @remember
            \t\tct status dnat ct protocol udp ct original ip daddr . ct protocol . ct original proto-dst vmap @remember
            \t\tct status dnat ct protocol sctp ct original ip daddr . ct protocol . ct original proto-dst vmap @remember
            \t}

            \tchain output {
            \t\ttype nat hook output priority -100; policy accept;
            \t\tjump dispatch
            \t}

            \tchain postrouting {
            \t\ttype nat hook postrouting priority srcnat - 1; policy accept;
            \t\tct status dnat ct protocol tcp ct original ip daddr . ct protocol . ct original proto-dst vmap @remember
            \t\tct status dnat ct protocol udp ct original ip daddr . ct protocol . ct original proto-dst vmap @remember
            \t\tct status dnat ct protocol sctp ct original ip daddr . ct protocol . ct original proto-dst vmap @remember
            \t\tct status dnat ip saddr . ip daddr @hairpin masquerade
            \t}

            \tchain prerouting {
            \t\ttype nat hook prerouting priority dstnat; policy accept;
            \t\tjump dispatch
            \t}
            }

            """
        #expect(text == expected)
    }

    @Test("a replacing script deletes the table first, safely")
    func replacing() {
        let table = Table(TableID(.ip6, "empty"))
        #expect(
            NFTText.text(of: table, replacing: true)
                == "table ip6 empty {}\ndelete table ip6 empty\n\ntable ip6 empty {\n}\n")
    }

    @Test("the order in which a table was filled doesn't show")
    func order() {
        let table = ServiceTable.make(.ip)
        var shuffled = table
        for (name, elements) in table.elements { shuffled.elements[name] = elements.shuffled() }
        #expect(NFTText.text(of: shuffled) == NFTText.text(of: table))
    }

    @Test(
        "intervals are printed as the prefix, range or single value that they are",
        arguments: [
            (Datatype.ipv4Address, [10, 0, 0, 0], [10, 255, 255, 255], "10.0.0.0/8"),
            (.ipv4Address, [10, 0, 0, 1], [10, 0, 0, 1], "10.0.0.1"),
            (.ipv4Address, [10, 0, 0, 1], [10, 0, 0, 2], "10.0.0.1-10.0.0.2"),
            (.ipv4Address, [0, 0, 0, 0], [127, 255, 255, 255], "0.0.0.0/1"),
            (.ipv4Address, [128, 0, 0, 0], [255, 255, 255, 255], "128.0.0.0/1"),
            (.internetService, [4, 0], [255, 255], "1024-65535"),
            (.internetService, [0, 80], [0, 80], "80"),
        ])
    func intervals(type: Datatype, first: [UInt8], last: [UInt8], text: String) {
        var table = Table(TableID(.ip, "t"))
        table.add(
            NamedSet("s", key: Shape(type), flags: .interval),
            Element.intervals([(RegisterValue(first), RegisterValue(last))]))
        #expect(NFTText.text(of: table).contains("elements = { \(text) }\n"))
    }

    @Test("intervals that touch stay apart")
    func touching() {
        var table = Table(TableID(.ip, "t"))
        let elements = Element.prefixes([
            (RegisterValue([10, 128, 0, 0]), 9), (RegisterValue([10, 0, 0, 0]), 9),
        ])
        table.add(NamedSet("s", key: Shape(.ipv4Address), flags: .interval), elements.reversed())
        #expect(NFTText.text(of: table).contains("{ 10.0.0.0/9,\n\t\t\t     10.128.0.0/9 }"))
    }

    @Test(
        "hostile comments become what nft reads",
        arguments: [
            ("plain/text:http", "plain/text:http"), ("say \"hi\"", "say 'hi'"),
            ("a\nb\u{1b}[31m\t", "a b [31m "),
            ("ü€😀\\", "ü€😀\\"), (String(repeating: "x", count: 200), String(repeating: "x", count: 128)),
            (String(repeating: "€", count: 60), String(repeating: "€", count: 42)), ("", ""),
        ])
    func comments(text: String, safe: String) {
        #expect(Comment.sanitized(text) == safe)
        #expect(Comment.sanitized(safe) == safe)
    }

    @Test("250,000 elements are printed in pieces of bounded size")
    func large() {
        struct Pieces: TextOutputStream {
            var count = 0
            var largest = 0
            mutating func write(_ text: String) {
                count += text.utf8.count
                largest = max(largest, text.utf8.count)
            }
        }
        var table = Table(TableID(.ip, "t"))
        let set = NamedSet(
            "m", key: Shape(typeof: .numgenIncremental(modulus: 2)),
            data: .value(Shape(typeof: .ipDaddr, .thDport)))
        table.add(
            set,
            (0..<250_000).map { (i: UInt32) in
                let address = RegisterValue([10, UInt8(i >> 16 & 255), UInt8(i >> 8 & 255), UInt8(i & 255)])
                return Element(
                    RegisterValue(host: i ^ 0x2a), data: .value(ServiceTable.endpoint(address, 80)))
            })
        var pieces = Pieces()
        NFTText.print(table, to: &pieces)
        #expect(pieces.count > 250_000 * 20)
        #expect(pieces.largest < 100_000)
    }
}
