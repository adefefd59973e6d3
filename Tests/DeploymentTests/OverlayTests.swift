import Deployment
import Foundation
import Testing

@Suite(
    "What kubectl makes of the folders",
    .enabled(if: Kustomize.isAvailable, Comment(rawValue: Kustomize.need)))
struct OverlayTests {
    private func build(_ folder: String) throws -> [YAMLValue] {
        try Kustomize.build(Deployment.folder.appendingPathComponent(folder))
    }

    private func kinds(_ objects: [YAMLValue]) -> [String] { objects.compactMap { $0["kind"].text }.sorted() }

    /// An operator's own folder beside this one, as README.md shows it.
    private func buildOwn(_ text: String) throws -> [YAMLValue] {
        let folder = Deployment.folder.appendingPathComponent(".own-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(text.utf8).write(to: folder.appendingPathComponent("kustomization.yaml"))
        return try Kustomize.build(folder)
    }

    @Test("kubeadm's ConfigMap is mounted as it is, where its own paths lead")
    func kubeadm() throws {
        let objects = try build("kubeadm")
        #expect(kinds(objects) == ["ClusterRole", "ClusterRoleBinding", "DaemonSet", "ServiceAccount"])
        let pod = Deployment.podSpec(objects)
        let map = try #require(YAMLValue.documents(KubeadmConfigMap.text()).first)
        #expect(pod["volumes"] == [["name": "config", "configMap": ["name": map["metadata", "name"]]]])
        try expectPaths(in: map["data"], lead: pod)
    }

    @Test("its own ConfigMap is mounted under the name of its contents, so that a change rolls out")
    func ownConfiguration() throws {
        let objects = try build("config")
        #expect(
            kinds(objects) == [
                "ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet", "ServiceAccount",
            ])
        let map = try #require(objects.first { $0["kind"] == "ConfigMap" })
        let name = try #require(map["metadata", "name"].text)
        #expect(name.wholeMatch(of: /sluice-[a-z0-9]{10}/) != nil, "\(name)")
        let pod = Deployment.podSpec(objects)
        #expect(pod["volumes"] == [["name": "config", "configMap": ["name": .string(name)]]])
        try expectPaths(in: map["data"], lead: pod)
    }

    /// The configuration that the flags name, and the kubeconfig that it names, are files of the volume; credentials
    /// are where the kubelet puts them.
    private func expectPaths(in data: YAMLValue, lead pod: YAMLValue) throws {
        let container = try #require(pod["containers"].list.first)
        let mount = try #require(container["volumeMounts"].list.first?["mountPath"].text)
        let flag = try #require(container["args"].texts.first { $0.hasPrefix("--config=") })
        func file(_ path: String) throws -> YAMLValue {
            try #require(path.hasPrefix("\(mount)/"), "\(path) is outside of \(mount)")
            let text = try #require(data[String(path.dropFirst(mount.count + 1))].text, "\(path) isn't there")
            return try #require(YAMLValue.documents(text).first)
        }
        let configuration = try file(String(flag.dropFirst("--config=".count)))
        #expect(configuration["kind"] == "KubeProxyConfiguration")
        let kubeconfig = try file(#require(configuration["clientConnection", "kubeconfig"].text))
        #expect(kubeconfig["kind"] == "Config")
        let account = "/var/run/secrets/kubernetes.io/serviceaccount"
        #expect(kubeconfig["users"].list.map { $0["user", "tokenFile"] } == [.string("\(account)/token")])
        let clusters = kubeconfig["clusters"].list.map { $0["cluster"] }
        #expect(clusters.map { $0["certificate-authority"] } == [.string("\(account)/ca.crt")])
        #expect(clusters.allSatisfy { $0["server"].text?.hasPrefix("https://") == true })
    }

    @Test("every object but those without one is in kube-system", arguments: ["base", "config", "kubeadm"])
    func namespace(folder: String) throws {
        for object in try build(folder) {
            let isClusterWide = object["kind"].text?.hasPrefix("Cluster") == true
            #expect(
                object["metadata", "namespace"] == (isClusterWide ? .null : "kube-system"),
                "\(object["kind"].text ?? "")")
        }
    }

    @Test(
        "with sysctls a container sets them first, the only one with privileges, and the image is named once")
    func sysctls() throws {
        let objects = try buildOwn(
            """
            resources: [../kubeadm]
            components: [../sysctls]
            images:
              - {name: sluice, newName: registry.example.net/sluice, newTag: 0.1.0}
            """)
        let pod = Deployment.podSpec(objects)
        let (first, rest) = (pod["initContainers"].list, pod["containers"].list)
        try #require(first.count == 1 && rest.count == 1)
        #expect(first[0]["args"].texts.contains("--init-only"))
        #expect(first[0]["args"].texts.filter { $0 != "--init-only" } == rest[0]["args"].texts)
        #expect(first[0]["volumeMounts"] == rest[0]["volumeMounts"])
        #expect(first[0]["env"] == rest[0]["env"])
        #expect(first[0]["securityContext"] == ["privileged": true, "readOnlyRootFilesystem": true])
        #expect(
            rest[0]
                == Deployment.podSpec(try build("kubeadm"))["containers"].list[0].replacing(
                    image: first[0]["image"]))
        #expect(first[0]["image"] == "registry.example.net/sluice:0.1.0")
    }
}

extension YAMLValue {
    fileprivate func replacing(image: YAMLValue) -> YAMLValue {
        guard case .object(var fields) = self else { return self }
        fields["image"] = image
        return .object(fields)
    }
}
