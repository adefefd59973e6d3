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
        try FileManager.default.moveItem(
            at: URL(fileURLWithPath: "\(bundle)/config.json"), to: umociConfiguration)
    }

    /// A container in the network namespace of a node.
    final class Container {
        let process: ChildProcess
        private let image: SluiceImage
        private let node: TestCluster.Host
        private let name: String

        fileprivate init(_ image: SluiceImage, _ name: String, on node: TestCluster.Host) throws {
            self.image = image
            self.node = node
            self.name = "\(node.namespace.name)-\(name)"
            // The network namespace is the one that runc is started in: `hostNetwork`.
            process = try node.namespace.start(
                image.runc + ["run", "--bundle", image.bundle, self.name])
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

    /// Starts a container of the DaemonSet's pod, as a kubelet and its container runtime do.
    ///
    /// - Parameters:
    ///   - described: the container in the manifest: arguments, environment, mounts and rights are taken from there.
    ///   - volumes: folders of this machine, by the names of the pod's volumes.
    ///   - serviceAccount: the folder that a kubelet mounts without being asked; nil: none.
    ///   - node: what the pod is on.
    func start(
        _ described: YAMLValue, volumes: [String: String], serviceAccount: String? = nil,
        on node: TestCluster.Host
    ) throws -> Container {
        guard let name = described["name"].text else { throw Failure(description: "no container") }
        guard described["image"].text == reference else {
            throw Failure(description: "\(name) is of another image than \(reference)")
        }
        let file = URL(fileURLWithPath: "\(bundle)/config.json")
        guard
            var configuration = try JSONSerialization.jsonObject(with: Data(contentsOf: umociConfiguration))
                as? [String: Any],
            var process = configuration["process"] as? [String: Any],
            let program = (process["args"] as? [String])?.first
        else { throw Failure(description: "\(umociConfiguration.path) isn't what umoci writes") }
        let rights = try ContainerRights(described["securityContext"])
        var environment: [(name: String, value: String)] = []
        for variable in described["env"].list {
            guard variable["valueFrom", "fieldRef", "fieldPath"] == "spec.nodeName",
                let name = variable["name"].text
            else { throw Failure(description: "a variable that isn't the node's name: \(variable)") }
            environment.append((name, node.name))
        }
        process["terminal"] = false
        process["args"] =
            [program]
            + described["args"].texts.map { argument in
                environment.reduce(argument) { $0.replacing("$(\($1.name))", with: $1.value) }
            }
        process["env"] =
            ["PATH=/usr/local/bin:/usr/bin:/bin"] + environment.map { "\($0.name)=\($0.value)" }
        process["noNewPrivileges"] = rights.hasNoNewPrivileges
        process["capabilities"] = [
            "bounding": rights.capabilities, "effective": rights.capabilities,
            "permitted": rights.capabilities,
        ]
        configuration["process"] = process
        configuration["root"] = ["path": "rootfs", "readonly": rights.hasReadOnlyRoot]
        var mounts = (configuration["mounts"] as? [[String: Any]] ?? []).compactMap { mount in
            rights.adapted(mount)
        }
        for mount in described["volumeMounts"].list {
            guard let folder = mount["name"].text.flatMap({ volumes[$0] }), let path = mount["mountPath"].text
            else { throw Failure(description: "nothing is given for \(mount)") }
            mounts.append(Self.bind(folder, at: path, isReadOnly: mount["readOnly"] == true))
        }
        if let serviceAccount {
            let path = "/var/run/secrets/kubernetes.io/serviceaccount"
            mounts.append(Self.bind(serviceAccount, at: path, isReadOnly: true))
        }
        configuration["mounts"] = mounts
        configuration["linux"] = [
            "namespaces": ["pid", "ipc", "uts", "mount"].map { ["type": $0] },
            "maskedPaths": rights.maskedPaths, "readonlyPaths": rights.readOnlyPaths,
        ]
        try JSONSerialization.data(withJSONObject: configuration).write(to: file)
        return try Container(self, name, on: node)
    }

    private static func bind(_ folder: String, at path: String, isReadOnly: Bool) -> [String: Any] {
        [
            "destination": path, "type": "bind", "source": folder,
            "options": ["rbind", isReadOnly ? "ro" : "rw"],
        ]
    }

    private var bundle: String { "\(directory.path)/bundle" }
    /// What umoci made of the image's own settings.
    private var umociConfiguration: URL { URL(fileURLWithPath: directory["umoci.json"]) }
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
