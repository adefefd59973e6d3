import Agent
import ClusterBuilders
import Conntrack
import Dispatch
import IPAddressing
import KubernetesAPI
import Logging
import NFTables
import NFTablesKernel
import Ruleset
import Synchronization
import TestNetwork
import Testing

extension DataplaneTests {
    @Suite(.timeLimit(.minutes(1))) struct HeldCleanupTests {
        /// The kernel, and word of each transaction that is in force.
        private struct ObservedKernel: RuleKernel {
            let connection: Connection
            let committed: AsyncStream<Void>.Continuation

            func commit(_ operations: [NFTables.Operation]) throws(KernelError) -> CommitSummary {
                let summary = try connection.commit(operations)
                committed.yield()
                return summary
            }
            func table(_ id: TableID) throws(KernelError) -> Table? { try connection.table(id) }
            func elements(of set: String, in table: TableID) throws(KernelError) -> [Element] {
                try connection.elements(of: set, in: table)
            }
            var canDestroyElements: Bool { connection.canDestroyElements }
        }

        /// Holds a pass in its first pause.
        private final class Hold: Sendable {
            private let gate = DispatchSemaphore(value: 0)
            private let isOpen = Mutex(false)
            let held: AsyncStream<Void>
            private let continuation: AsyncStream<Void>.Continuation

            init() { (held, continuation) = AsyncStream.makeStream() }

            func pause() {
                guard !isOpen.withLock({ $0 }) else { return }
                continuation.yield()
                gate.wait()
            }

            func open() {
                isOpen.withLock { $0 = true }
                gate.signal()
            }
        }

        private static let flows = 1000

        /// UDP flows to a virtual address whose endpoint is gone.
        private func makeFlows(_ connection: ConntrackConnection, _ virtual: AddressPort) throws {
            for start in stride(from: 0, to: Self.flows, by: 100) {
                try connection.create(
                    (start..<start + 100).map { number in
                        let client = AddressPort(IPAddress(ipv4: 0x0af4_000a), UInt16(2000 + number))
                        let gone = AddressPort(IPAddress(ipv4: 0x0af4_0063), 8080)
                        return ConntrackEntry(
                            transport: TransportProtocol.udp.rawValue,
                            original: .init(source: client, destination: virtual),
                            reply: .init(source: gone, destination: client), timeout: 600)
                    })
            }
        }

        private func count(_ connection: ConntrackConnection) throws -> Int {
            var count = 0
            try connection.dump(.ipv4, protocol: .udp) { _ in count += 1 }
            return count
        }

        private static func objects(_ name: String, at number: UInt8) -> [ClusterObject] {
            let endpoints = [11, 12].map {
                EndpointSlice.Endpoint.at(IPAddress(ipv4: 0x0af4_0000 + $0), on: "node")
            }
            return [
                .service(.clusterIP(name, at: [VirtualAddress.number(number, .ipv4)])),
                .endpointSlice(.of(name, .ipv4, endpoints)),
            ]
        }

        @Test("statement 26: a commit goes through while a pass over the flows stands still in the middle")
        func commitsGoOn() async throws {
            let namespace = try Namespace("held")
            defer { namespace.remove() }
            let virtual = AddressPort(VirtualAddress.number(1, .ipv4), 80)
            let hold = Hold()
            // Whatever fails, the reconciler's thread is not to wait for ever.
            defer { hold.open() }
            let connection = try namespace.run { try Connection() }
            let flows = try namespace.run { try ConntrackConnection() }
            let reconciler = try namespace.run { try ConntrackReconciler(pause: { hold.pause() }) }
            try makeFlows(flows, virtual)

            let (commits, committed) = AsyncStream.makeStream(of: Void.self)
            let inbox = ChangeInbox()
            let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            let cleanups = RetryLoop<UDPCleanup>(merge: { UDPCleanup.supersede($0, by: $1) })
            let cleaner = FlowCleaner(reconciler: reconciler, logger: logger)
            let agent = NodeAgent(
                settings: ProxySettings(nodeName: "node"),
                kernel: ObservedKernel(connection: connection, committed: committed), inbox: inbox,
                logger: logger, inForce: { cleanups.put($0) })
            let cleaning = Task { await cleanups.run { await cleaner.clean($0) } }
            try agent.start(ChangeInbox.Changes(Self.objects("web", at: 1)))
            let loop = Task { await agent.run() }
            var (isCommitted, isHeld) = (commits.makeAsyncIterator(), hold.held.makeAsyncIterator())
            await isCommitted.next()
            await isHeld.next()

            // Twice: the second finds the cleaner busy with what the first asks of it.
            for number in UInt8(2)...3 {
                inbox.put(upserted: Self.objects("more-\(number)", at: number))
                await isCommitted.next()
            }
            let watcher = try namespace.run { try Connection() }
            let served = try #require(try watcher.table(ObjectNames.tableID(.ipv4)))
            let keys = Set(served.elements["services"]?.map(\.key) ?? [])
            // TCP and UDP of each of the three.
            #expect(keys.count == 6)
            // It stands in the middle: of its flows, some are gone and most are not.
            let left = try count(flows)
            #expect(left < Self.flows && left > Self.flows / 2)

            hold.open()
            cleanups.finish()
            await cleaning.value
            #expect(try count(flows) == 0)
            inbox.finish()
            await loop.value
        }
    }
}
