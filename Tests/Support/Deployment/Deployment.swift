public import Foundation

/// `scripts/deploy` as it is in this folder.
public enum Deployment {
    /// The folder that holds Package.swift.
    public static let root = (0..<4).reduce(URL(fileURLWithPath: #filePath)) { url, _ in
        url.deletingLastPathComponent()
    }

    public static let folder = root.appendingPathComponent("scripts/deploy")

    /// A file below `scripts/deploy`.
    public static func text(_ path: String) throws -> String {
        try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8)
    }

    /// The objects of a manifest below `scripts/deploy`.
    public static func objects(_ path: String) throws -> [YAMLValue] {
        try YAMLValue.documents(text(path))
    }

    /// What a pod of the DaemonSet is made of.
    public static func podSpec(_ objects: [YAMLValue]) -> YAMLValue {
        objects.first { $0["kind"] == "DaemonSet" }?["spec", "template", "spec"] ?? .null
    }

    /// The container that runs for good, without what overlays add.
    public static func container() throws -> YAMLValue {
        podSpec(try objects("base/daemonset.yaml"))["containers"].list.first ?? .null
    }

    /// The container that `sysctls` adds before it.
    public static func initContainer() throws -> YAMLValue {
        let patch =
            try objects("sysctls/kustomization.yaml").first?["patches"].list.first?["patch"].text ?? ""
        return podSpec(try YAMLValue.documents(patch))["initContainers"].list.first ?? .null
    }
}
