internal import CNetfilter
import Glibc
public import NFTables
import Netlink

/// A chain as it stands in the kernel, without its rules.
public struct ChainHead: Sendable, Hashable {
    public let table: TableID
    public let name: String
    /// Whether it is attached to a hook.
    public let isBase: Bool
    /// What happens to packets that pass it; nil for one that is reached by jump and goto only.
    public let policy: BaseChain.Policy?

    public init(table: TableID, name: String, isBase: Bool = false, policy: BaseChain.Policy? = nil) {
        self.table = table
        self.name = name
        self.isBase = isBase
        self.policy = policy
    }
}

/// A rule that leads to another chain, whatever else it is made of.
public struct ChainLink: Sendable, Hashable {
    /// The chain that the rule is in.
    public let chain: String
    /// The rule's number in its table.
    public let handle: UInt64
    /// The chain that it jumps or goes to.
    public let target: String

    public init(chain: String, handle: UInt64, target: String) {
        self.chain = chain
        self.handle = handle
        self.target = target
    }
}

/// Reading of tables that others made: only what is asked for is kept, and expressions that this library has no value
/// for do no harm.
extension Connection {
    /// The chains of all tables of a family.
    public func chainHeads(_ family: Family) throws(KernelError) -> [ChainHead] {
        var result: [ChainHead] = []
        _ = try request(
            NFT_MSG_GETCHAIN, family: family, flags: NLM_F_DUMP, object: "chains of family \(family)"
        ) { message in
            let attributes = Attributes(of: message)
            guard let table = attributes.text(NFTA_CHAIN_TABLE.rawValue),
                let name = attributes.text(NFTA_CHAIN_NAME.rawValue)
            else { return }
            let isBase = attributes.find(NFTA_CHAIN_HOOK.rawValue) != nil
            let policy = attributes.number(NFTA_CHAIN_POLICY.rawValue)
            result.append(
                ChainHead(
                    table: TableID(family, table), name: name, isBase: isBase,
                    policy: isBase ? policy.flatMap(BaseChain.Policy.init(rawValue:)) : nil))
        }
        return result
    }

    /// The rules of a table that lead to another chain by their own verdict.
    ///
    /// - Parameter isWanted: called with the chain of each such rule and the one it leads to.
    public func links(
        in table: TableID, where isWanted: (_ chain: String, _ target: String) -> Bool
    ) throws(KernelError) -> [ChainLink] {
        var result: [ChainLink] = []
        _ = try request(
            NFT_MSG_GETRULE, family: table.family, flags: NLM_F_DUMP, object: "rules of table \(table)",
            attributes: [(NFTA_RULE_TABLE.rawValue, table.name)]
        ) { message in
            guard let (chain, rule) = Rule.read(message, in: table), let handle = rule.handle else { return }
            for case .verdict(let verdict) in rule.expressions {
                guard let target = verdict.target, isWanted(chain, target) else { continue }
                result.append(ChainLink(chain: chain, handle: handle, target: target))
            }
        }
        return result
    }

    /// The names of a table's sets and maps; none where there is no such table.
    public func setNames(in table: TableID) throws(KernelError) -> [String] {
        var result: [String] = []
        do throws(KernelError) {
            _ = try request(
                NFT_MSG_GETSET, family: table.family, flags: NLM_F_DUMP, object: "sets of table \(table)",
                attributes: [(NFTA_SET_TABLE.rawValue, table.name)]
            ) { message in
                let attributes = Attributes(of: message)
                guard attributes.text(NFTA_SET_TABLE.rawValue) == table.name,
                    let name = attributes.text(NFTA_SET_NAME.rawValue)
                else { return }
                result.append(name)
            }
        } catch {
            guard case .read(_, ENOENT) = error else { throw error }
            return []
        }
        return result
    }
}
