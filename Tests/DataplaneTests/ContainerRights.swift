import Deployment
import Foundation

/// What a container may do: a `securityContext` in the words of the OCI runtime specification, as containerd says it.
struct ContainerRights {
    struct Unknown: Error {
        let context: YAMLValue
    }

    let capabilities: [String]
    let hasNoNewPrivileges: Bool
    let hasReadOnlyRoot: Bool
    private let isPrivileged: Bool

    /// - Throws: for what this isn't prepared for.
    init(_ context: YAMLValue) throws {
        isPrivileged = context["privileged"] == true
        hasReadOnlyRoot = context["readOnlyRootFilesystem"] == true
        hasNoNewPrivileges = context["allowPrivilegeEscalation"] == false
        guard isPrivileged || context["capabilities", "drop"] == ["ALL"],
            [.null, 0].contains(context["runAsUser"])
        else { throw Unknown(context: context) }
        // What is dropped is ALL: the set is what is added.
        capabilities =
            isPrivileged ? try Self.current() : context["capabilities", "add"].texts.map { "CAP_\($0)" }
    }

    var maskedPaths: [String] {
        isPrivileged ? [] : ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"]
    }

    var readOnlyPaths: [String] {
        isPrivileged ? [] : ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
    }

    /// A mount of every container as this one has it; nil for none.
    func adapted(_ mount: [String: Any]) -> [String: Any]? {
        var mount = mount
        switch mount["destination"] as? String {
        // Not there on every machine, and of no use here.
        case "/sys/fs/cgroup": return nil
        case "/sys" where isPrivileged:
            mount["options"] = (mount["options"] as? [String] ?? []).filter { $0 != "ro" }
        default: break
        }
        return mount
    }

    /// As containerd: privileged is what the one who starts it may do, who need not have all.
    private static func current() throws -> [String] {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        guard let digits = status.firstMatch(of: /CapEff:\s*([0-9a-f]+)/)?.1,
            let set = UInt64(digits, radix: 16)
        else { return [] }
        return names.enumerated().filter { set & (1 << $0.offset) != 0 }.map { "CAP_\($0.element)" }
    }

    /// linux/capability.h, from number 0 to those of Linux 5.9.
    private static let names = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK",
        "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN",
        "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
        "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM",
        "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
    ]
}
