import Glibc

/// Whether tests that need the kernel's nf_tables and network namespaces can run here.
///
/// A suite says `@Suite(.enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)))`. With
/// `SLUICE_REQUIRE_KERNEL_TESTS=1` in the environment they are switched on in any case, and fail where
/// the kernel, the rights or the tools are missing: what CI skips without a word, nobody has tested.
public enum KernelTests {
    /// True when they can run, or must.
    public static var areAvailable: Bool { areRequired || missing == nil }

    /// True when the environment says that being unable to run them is a failure.
    public static var areRequired: Bool {
        guard let value = getenv("SLUICE_REQUIRE_KERNEL_TESTS") else { return false }
        return !["", "0"].contains(String(cString: value))
    }

    /// What a skipped suite says.
    public static let need = "needs root, network namespaces, nf_tables, `ip` and `nft` (scripts/bootstrap)"

    /// What is missing, in words; nil when all is there. Found out once, by trying.
    public static let missing: String? = {
        guard geteuid() == 0 else { return "not root" }
        do {
            let namespace = try Namespace("probe")
            defer { namespace.remove() }
            try namespace.loadRules(
                "table ip probe { chain nat { type nat hook prerouting priority -100; }; }")
            return nil
        } catch {
            return "\(error)"
        }
    }()
}
