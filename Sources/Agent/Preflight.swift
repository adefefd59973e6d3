import Glibc
public import NFTablesKernel

/// Why Sluice can't run on this machine.
public struct PreflightError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
}

/// Checks what must be there before anything is touched.
public enum Preflight {
    /// Opens the way to nf_tables.
    ///
    /// - Throws: `PreflightError` that says what is missing.
    public static func connect(release: KernelRelease = .running) throws(PreflightError) -> Connection {
        guard release >= .oldest else {
            throw PreflightError(
                description: "Linux \(release) is too old: Sluice needs \(KernelRelease.oldest) or later")
        }
        do throws(KernelError) {
            let connection = try Connection()
            _ = try connection.generation()
            return connection
        } catch {
            throw explain(error)
        }
    }

    static func explain(_ error: KernelError) -> PreflightError {
        let what =
            switch error.errno {
            case EPERM, EACCES:
                "no right to change nf_tables: run as root, or with CAP_NET_ADMIN in the network namespace"
            case EPROTONOSUPPORT, EAFNOSUPPORT, EINVAL, EOPNOTSUPP, ENOENT:
                "this kernel has no nf_tables: it needs CONFIG_NF_TABLES, CONFIG_NFT_NAT and CONFIG_NFT_NUMGEN"
            default:
                "nf_tables can't be reached"
            }
        return PreflightError(description: "\(what) (\(error))")
    }
}
