import IPAddressing
import NFTables
package import NFTablesKernel
import Ruleset
public import ServiceModel

/// A proxy that has served the node until now, and whose rules are there still.
public struct Predecessor<Kernel: RuleKernel> {
    /// The clients that it leads to one endpoint each.
    public let clients: (Kernel) -> [ServicePortID: [LedClient]]
    /// Called once the writer's own rules are in force: those of the other may go.
    public let retire: (RulesetWriter<Kernel>) -> Void

    public init(
        clients: @escaping (Kernel) -> [ServicePortID: [LedClient]],
        retire: @escaping (RulesetWriter<Kernel>) -> Void
    ) {
        self.clients = clients
        self.retire = retire
    }
}

extension RulesetWriter {
    /// The operations that remember a predecessor's clients in tables which are about to be made.
    ///
    /// Of base chains with the same priority the kernel asks the younger first. So from their first moment on, Sluice's
    /// rules lead connections, and must know these clients: in the same transaction. Asked once; where that transaction
    /// fails, it isn't for their sake that the next one does.
    func clientsOfPredecessor(_ actual: [AddressFamily: Table]) -> [Operation] {
        guard let clientsLed else { return [] }
        self.clientsLed = nil
        guard AddressFamily.allCases.contains(where: { actual[$0] == nil }) else { return [] }
        var operations: [Operation] = []
        for (id, clients) in clientsLed(kernel).sorted(by: { $0.key < $1.key }) {
            for (family, clients) in Dictionary(grouping: clients, by: \.client.family)
            where actual[family] == nil {
                for takeover in compiler.affinityTakeovers(of: id, family) {
                    operations += takeover.operations(clients, standing: [:])
                }
            }
        }
        return operations
    }

    /// Whether the kernel's tables are what they shall be; all of them are read for that.
    package func isInForce() throws(KernelError) -> Bool {
        try glance().operations.isEmpty
    }

    /// How often affinity is taken over anew when packets write to the maps at the same moment.
    private static var takeoverAttempts: Int { 3 }

    /// Remembers clients that another proxy led, where their endpoints are still there and nothing is known of them.
    ///
    /// - Returns: how many entries were made. A client may have one under each traffic policy.
    @discardableResult
    package func remember(_ clients: [ServicePortID: [LedClient]]) throws(KernelError) -> Int {
        var count = 0
        for (id, clients) in clients.sorted(by: { $0.key < $1.key }) {
            for (family, clients) in Dictionary(grouping: clients, by: \.client.family) {
                for takeover in compiler.affinityTakeovers(of: id, family) {
                    count += try remember(clients, takeover)
                }
            }
        }
        return count
    }

    private func remember(_ clients: [LedClient], _ takeover: AffinityTakeover) throws(KernelError) -> Int {
        var attempt = 1
        while true {
            var standing: [String: [Element]] = [:]
            for map in takeover.maps { standing[map] = try kernel.elements(of: map, in: takeover.table) }
            let operations = takeover.operations(clients, standing: standing)
            guard !operations.isEmpty else { return 0 }
            do throws(KernelError) {
                _ = try kernel.commit(operations)
                return operations.reduce(0) { count, operation in
                    if case .addElements(_, _, let elements) = operation {
                        count + elements.count
                    } else {
                        count
                    }
                }
            } catch {
                // A packet wrote an entry for one of the clients since.
                guard case .refused = error, attempt < Self.takeoverAttempts else { throw error }
                attempt += 1
            }
        }
    }
}
