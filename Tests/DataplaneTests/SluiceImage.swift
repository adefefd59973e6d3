import Deployment
import Foundation
import TemporaryFiles
import TestNetwork

/// An image of the built `sluice`, unpacked, to run containers of it as a container runtime would for the DaemonSet.
struct SluiceImage {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// `name:tag`, as scripts/image prints it.
    let reference: String
    private let directory: TemporaryDirectory

    /// Packs and unpacks it. The build's own binary is taken, and the libraries of this machine: what is tried out is how
    /// the image is made and what it lacks, without a build of half a package list's length.
    init(in namespace: Namespace) throws {
        directory = try TemporaryDirectory()
        let told = try Self.run(
            Deployment.root.appendingPathComponent("scripts/image").path, "--installed", "--binary",
            SluiceProgram.path.get(), "--output", "\(directory.path)/layout", in: namespace)
        guard let reference = told.split(separator: " ").first?.wholeMatch(of: /sluice:(.+)/) else {
            throw Failure(description: "scripts/image doesn't name the image: \(told)")
        }
        self.reference = String(reference.0)
        try Self.run(
            "umoci", "unpack", "--image", "\(directory.path)/layout:\(reference.1)",
            "\(directory.path)/bundle", in: namespace)
    }

    /// A container that runs, as the DaemonSet says it, in the network namespace of a node.
    final class Container {
        let process: ChildProcess
        private let image: SluiceImage
        private let node: TestCluster.Host
        private let name: String

        fileprivate init(_ image: SluiceImage, on node: TestCluster.Host) throws {
            self.image = image
            self.node = node
            name = node.namespace.name
            // The network namespace is the one that runc is started in: `hostNetwork`.
            process = try node.namespace.start(
                image.runc + ["run", "--bundle", image.bundle, name])
        }

        deinit { remove() }

        /// The lines of `/proc/<id>/<name>` of the first process inside.
        func processLines(_ name: String) throws -> [Substring] {
            let state = try SluiceImage.run(image.runc + ["state", self.name], in: node.namespace)
            guard let fields = try JSONSerialization.jsonObject(with: Data(state.utf8)) as? [String: Any],
                let identifier = fields["pid"] as? Int
            else { throw Failure(description: "runc state says: \(state)") }
            return try String(contentsOfFile: "/proc/\(identifier)/\(name)", encoding: .utf8).split(
                separator: "\n")
        }

        /// A value of its status, as `CapEff`.
        func status(_ key: String) throws -> String? {
            try processLines("status").first { $0.hasPrefix("\(key):") }?.split(separator: "\t").last.map(
                String.init)
        }

        /// How its root file system is mounted, as `ro`.
        func rootOptions() throws -> [Substring] {
            // proc(5): the fifth field is the mount point, the sixth its options.
            try processLines("mountinfo").map { $0.split(separator: " ") }
                .last { $0.count > 5 && $0[4] == "/" }?[5].split(separator: ",") ?? []
        }

        /// As the kubelet ends it.
        func terminate() throws {
            try SluiceImage.run(image.runc + ["kill", name, "TERM"], in: node.namespace)
        }

        /// Ends it at once; nothing happens to one that has ended.
        func remove() {
            _ = try? SluiceImage.run(image.runc + ["delete", "--force", name], in: node.namespace)
        }
    }

    /// Starts a container.
    /// - Parameters:
    ///   - container: of the DaemonSet: its rights are taken, and its environment.
    ///   - arguments: in place of the DaemonSet's; `$(NODE_NAME)` is filled in.
    ///   - folders: folders of this machine that are mounted, for reading only, by where they are mounted.
    func start(
        _ container: YAMLValue, arguments: [String], folders: [String: String], on node: TestCluster.Host
    ) throws -> Container {
        let file = URL(fileURLWithPath: "\(bundle)/config.json")
        guard
            var configuration = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
                as? [String: Any],
            var process = configuration["process"] as? [String: Any],
            let program = (process["args"] as? [String])?.first
        else { throw Failure(description: "\(file.path) isn't what umoci writes") }
        let rights = container["securityContext"]
        // What is dropped is ALL: the set is what is added.
        let capabilities = rights["capabilities", "add"].texts.map { "CAP_\($0)" }
        guard rights["capabilities", "drop"] == ["ALL"] else {
            throw Failure(description: "only a container that drops all capabilities is run here")
        }
        process["terminal"] = false
        process["args"] =
            [program] + arguments.map { $0.replacing("$(NODE_NAME)", with: node.name) }
        process["env"] = ["PATH=/usr/local/bin:/usr/bin:/bin", "NODE_NAME=\(node.name)"]
        process["noNewPrivileges"] = rights["allowPrivilegeEscalation"] == false
        process["capabilities"] = [
            "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
        ]
        configuration["process"] = process
        configuration["root"] = ["path": "rootfs", "readonly": rights["readOnlyRootFilesystem"] == true]
        let mounts = (configuration["mounts"] as? [[String: Any]] ?? []).filter {
            // Not there on every machine, and of no use here.
            $0["destination"] as? String != "/sys/fs/cgroup"
        }
        configuration["mounts"] =
            mounts
            + folders.map {
                ["destination": $0.key, "type": "bind", "source": $0.value, "options": ["rbind", "ro"]]
            }
        configuration["linux"] = [
            "namespaces": ["pid", "ipc", "uts", "mount"].map { ["type": $0] },
            // What container runtimes cover by default.
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        ]
        try JSONSerialization.data(withJSONObject: configuration).write(to: file)
        return try Container(self, on: node)
    }

    private var bundle: String { "\(directory.path)/bundle" }
    /// Its containers are listed nowhere else, so that none is in another's way.
    private var runc: [String] { ["runc", "--root", "\(directory.path)/runc"] }

    @discardableResult
    private static func run(_ command: String..., in namespace: Namespace) throws -> String {
        try run(command, in: namespace)
    }

    @discardableResult
    private static func run(_ command: [String], in namespace: Namespace) throws -> String {
        let process = try namespace.start(command)
        let status = process.wait()
        guard status == 0 else {
            throw Failure(
                description: "`\(command.joined(separator: " "))` ended with status \(status): "
                    + (try process.standardError))
        }
        return try process.standardOutput
    }
}
