import ClusterBuilders
import IPAddressing
import PacketCases
import Testing

/// The judge of all other tests here must not let everything pass.
@Suite("What the judge of fates objects to")
struct FateJudgeTests {
    private static let traffic = Traffic(.tcp, .ipv4)
    private static let virtual = AddressPort(VirtualAddress.number(1), 80)

    private func step(
        _ expectation: FateExpectation, from client: Place = .client, times: Int = 1,
        source: SourceExpectation = .keptButByItself, as label: String? = nil
    ) -> ConnectionStep {
        ConnectionStep(
            client: client, traffic: Self.traffic, destination: Self.virtual, times: times,
            expectation: expectation, source: source, label: label)
    }

    private func observations(
        _ servers: [Server], from client: Place = .client, seenAs seen: Place? = nil
    ) -> [Observation] {
        servers.map { server in
            observation(
                .reached(
                    server.address(.ipv4), source: AddressPort((seen ?? client).address(.ipv4), 4000)),
                from: client)
        }
    }

    private func observation(_ fate: ObservedFate, from client: Place = .client) -> Observation {
        Observation(source: AddressPort(client.address(.ipv4), 4000), destination: Self.virtual, fate: fate)
    }

    @Test("a turn must be strict, whole, and over the right servers")
    func turns() {
        func isRight(_ servers: [Server]) -> Bool {
            var judge = FateJudge()
            return judge.problems(
                of: observations(servers), in: step(.rotates(over: [.a, .b, .c]), times: servers.count)
            ).isEmpty
        }
        #expect(isRight([.a, .b, .c, .a, .b, .c, .a]))
        #expect(isRight([.c, .b, .a, .c]))
        #expect(!isRight([.a, .b, .c, .b]))
        #expect(!isRight([.a, .a, .c]))
        #expect(!isRight([.a, .b]))
        #expect(!isRight([.a, .b, .far]))
        #expect(!isRight([.a, .b, Server(.c, 9090)]))
    }

    @Test("a turn that goes on begins where it was, with the replaced server's place taken")
    func goingOn() {
        func isRight(_ servers: [Server]) -> Bool {
            var judge = FateJudge()
            let first = judge.problems(
                of: observations([.b, .a, .c, .b]),
                in: step(.rotates(over: [.a, .b, .c]), times: 4, as: "turn"))
            #expect(first.isEmpty)
            return judge.problems(
                of: observations(servers),
                in: step(.continues("turn", replacing: [.c: .far]), times: servers.count)
            ).isEmpty
        }
        #expect(isRight([.a, .far, .b, .a]))
        #expect(!isRight([.b, .a, .far]))
        #expect(!isRight([.a, .c]))
    }

    @Test("what refers to an earlier step is held against it")
    func references() {
        func isRight(_ expectation: FateExpectation, _ server: Server) -> Bool {
            var judge = FateJudge()
            _ = judge.problems(of: observations([.b]), in: step(.answeredByOneOf([.a, .b]), as: "before"))
            return judge.problems(of: observations([server]), in: step(expectation)).isEmpty
        }
        #expect(isRight(.same(as: "before"), .b) && !isRight(.same(as: "before"), .a))
        #expect(!isRight(.same(as: "a step that there is not"), .b))
        #expect(isRight(.keeps("before", among: [.b, .c]), .b))
        #expect(!isRight(.keeps("before", among: [.b, .c]), .c))
        #expect(isRight(.keeps("before", among: [.a, .c]), .c))
        #expect(!isRight(.keeps("before", among: [.a, .c]), .b))
        #expect(isRight(.differs(from: ["before"], among: [.a, .b]), .a))
        #expect(!isRight(.differs(from: ["before"], among: [.a, .b]), .b))
    }

    @Test("refused, dropped, untouched and served are four fates")
    func fates() {
        let fates: [(expectation: FateExpectation, fate: ObservedFate)] = [
            (.refused, .refused), (.dropped, .dropped),
            (.untouched, .reached(Self.virtual, source: AddressPort(Place.client.address(.ipv4), 4000))),
            (
                .answered(by: .a),
                .reached(
                    Server.a.address(.ipv4), source: AddressPort(Place.client.address(.ipv4), 4000))
            ),
        ]
        for (row, expected) in fates.enumerated() {
            for (column, found) in fates.enumerated() {
                var judge = FateJudge()
                let problems = judge.problems(
                    of: [observation(found.fate)], in: step(expected.expectation))
                #expect(problems.isEmpty == (row == column))
            }
            var judge = FateJudge()
            #expect(!judge.problems(of: [observation(.other("odd"))], in: step(expected.expectation)).isEmpty)
            #expect(!judge.problems(of: [], in: step(expected.expectation)).isEmpty)
        }
    }

    @Test("the source that the server saw must be the right one")
    func sources() {
        func isRight(_ source: SourceExpectation, from client: Place, seenAs seen: Place) -> Bool {
            var judge = FateJudge()
            return judge.problems(
                of: observations([.a], from: client, seenAs: seen),
                in: step(.answered(by: .a), from: client, source: source)
            ).isEmpty
        }
        #expect(isRight(.kept, from: .client, seenAs: .client))
        #expect(!isRight(.kept, from: .client, seenAs: .node))
        #expect(isRight(.masqueraded, from: .client, seenAs: .node))
        #expect(!isRight(.masqueraded, from: .client, seenAs: .client))
        #expect(isRight(.keptButByItself, from: .client, seenAs: .client))
        #expect(!isRight(.keptButByItself, from: .a, seenAs: .a))
        #expect(isRight(.keptButByItself, from: .a, seenAs: .node))
    }

    @Test("only masquerading may change the source port, and on a bridge it gives the bridge's address")
    func masquerading() {
        func isRight(_ source: SourceExpectation, seenAs seen: AddressPort, on setting: Setting) -> Bool {
            var judge = FateJudge(setting)
            let fate = ObservedFate.reached(Server.a.address(.ipv4), source: seen)
            return judge.problems(
                of: [observation(fate)], in: step(.answered(by: .a), source: source)
            ).isEmpty
        }
        let (client, node) = (Place.client.address(.ipv4), Place.node.address(.ipv4))
        #expect(isRight(.masqueraded, seenAs: AddressPort(node, 5000), on: .nodeCIDR))
        #expect(!isRight(.kept, seenAs: AddressPort(client, 5000), on: .nodeCIDR))
        #expect(isRight(.masqueraded, seenAs: AddressPort(Place.bridge(.ipv4), 4000), on: .bridgeInterface))
        #expect(!isRight(.masqueraded, seenAs: AddressPort(node, 4000), on: .bridgeInterface))
        #expect(!isRight(.masqueraded, seenAs: AddressPort(Place.bridge(.ipv4), 4000), on: .nodeCIDR))
    }
}
