import Foundation
import KubernetesAPI
import KubernetesClient
import TemporaryFiles
import TestAPIServer
import Testing

/// One line says which file, host, verb and resource; it is tried again; and what is put right is taken up.
@Suite("Credentials and what is wrong with them")
struct CredentialIntegrationTests {
    private func recovers(_ cluster: FollowedCluster, after line: String, count: Int = 4) async throws {
        try await cluster.settle()
        #expect(cluster.view.current.removals.isEmpty)
        // One line for each kind at most, however often it was tried.
        let same = cluster.log.complaints.filter { $0 == line }
        #expect(same.count == 1)
        #expect(!line.contains("\n"))
    }

    @Test("a token that is changed in its file is taken up, and before that refusals are told")
    func rotatedToken() async throws {
        let cluster = try await FollowedCluster(kubeconfig: { kubeconfig, directory in
            kubeconfig.use(tokenFile: try directory.write("first\n", to: "token"))
        })
        try await cluster.run { cluster in
            cluster.server.access.accept(tokens: ["first"])
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            #expect(cluster.server.requests.allSatisfy { $0.user == "token first" })

            // The server no longer takes the old one, and the file isn't changed yet.
            cluster.server.access.accept(tokens: ["second"])
            cluster.server.disturb(with: .end)
            let line = try await cluster.complaint(containing: "watch services", "401")
            #expect(line.contains("127.0.0.1:\(cluster.server.port)"))
            cluster.store.put(APIObject(SmallCluster.service(1, number: 500)))
            try cluster.directory.write("second", to: "token")
            try await recovers(cluster, after: line)
        }
    }

    @Test("a token that is changed in time is never refused")
    func rotatedInTime() async throws {
        let cluster = try await FollowedCluster(kubeconfig: { kubeconfig, directory in
            kubeconfig.use(tokenFile: try directory.write("first", to: "token"))
        })
        try await cluster.run { cluster in
            cluster.server.access.accept(tokens: ["first"])
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            cluster.server.access.accept(tokens: ["first", "second"])
            try cluster.directory.write("second", to: "token")
            let number = cluster.server.requestCount
            for _ in 0..<3 {
                cluster.server.disturb(with: .end)
                cluster.store.put(
                    APIObject(SmallCluster.service(1, number: 500 + cluster.server.requestCount)))
                try await cluster.settle()
            }
            try await cluster.request(from: number, "with the new token") { _ in true }
            cluster.server.access.accept(tokens: ["second"])
            cluster.server.disturb(with: .end)
            cluster.store.put(APIObject(SmallCluster.service(1, number: 600)))
            try await cluster.settle()
            #expect(!cluster.log.complaints.contains { $0.contains("401") })
        }
    }

    @Test("client certificates, as data and as files that are changed")
    func clientCertificates() async throws {
        let authority = try FollowedCluster.authority.get()
        let users = try CertificateAuthority("users")
        for asFiles in [false, true] {
            let first = try users.client("system:node:first")
            let cluster = try await FollowedCluster(
                clientAuthority: users.certificate,
                kubeconfig: {
                    kubeconfig, directory in
                    if asFiles {
                        kubeconfig.use(
                            certificateFile: try directory.write(first.certificate, to: "client.crt"),
                            keyFile: try directory.write(first.key, to: "client.key"))
                    } else {
                        kubeconfig.use(first)
                    }
                })
            try await cluster.run { cluster in
                cluster.server.access.accept(tokens: [])
                SmallCluster.fill(cluster.store)
                cluster.follow()
                try await cluster.settle()
                #expect(cluster.server.requests.allSatisfy { $0.user?.contains("first") ?? false })

                let second = try users.client("system:node:second")
                if asFiles {
                    try cluster.directory.write(second.key, to: "client.key")
                    try cluster.directory.write(second.certificate, to: "client.crt")
                } else {
                    var kubeconfig = Kubeconfig(server: cluster.server.url, authority: authority.certificate)
                    kubeconfig.use(second)
                    try cluster.directory.write(kubeconfig.text, to: "kubeconfig")
                }
                let number = cluster.server.requestCount
                let isSecond: @Sendable (ReceivedRequest) -> Bool = { $0.user?.contains("second") ?? false }
                let found = Task {
                    try await cluster.request(from: number, "as the second user", where: isSecond)
                }
                for round in 0..<200 where !cluster.server.requests.contains(where: isSecond) {
                    cluster.server.disturb(with: .end)
                    cluster.store.put(APIObject(SmallCluster.service(1, number: 500 + round)))
                    try await cluster.settle()
                }
                _ = try await found.value
                #expect(cluster.view.current.removals.isEmpty)
            }
        }
    }

    @Test("an authority that is changed is taken up")
    func rotatedAuthority() async throws {
        let authority = try FollowedCluster.authority.get()
        let cluster = try await FollowedCluster(kubeconfig: { kubeconfig, directory in
            let path = try directory.write(authority.certificate, to: "ca.crt")
            kubeconfig = Kubeconfig(server: kubeconfig.server, authorityFile: path)
        })
        try await cluster.run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
            let next = try CertificateAuthority("next-ca")
            try cluster.server.present(next.server())
            await cluster.server.resetConnections()
            cluster.store.put(APIObject(SmallCluster.service(1, number: 500)))
            let line = try await cluster.complaint(
                containing: "127.0.0.1:\(cluster.server.port)", "certificate")
            // As in a rotation: both for a while.
            try cluster.directory.write(authority.certificate + next.certificate, to: "ca.crt")
            try await recovers(cluster, after: line)
        }
    }

    @Test("a certificate of the wrong name is told, and tls-server-name says which is right")
    func wrongName() async throws {
        let authority = try FollowedCluster.authority.get()
        let wrong = try authority.server(names: ["other.example.org"], addresses: ["192.0.2.1"])
        try await FollowedCluster(credential: wrong).run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            let line = try await cluster.complaint(
                containing: "127.0.0.1:\(cluster.server.port)", "certificate")
            #expect(
                line.contains("services") || line.contains("nodes") || line.contains("endpointslices")
                    || line.contains("servicecidrs"))
            #expect(cluster.server.requests.isEmpty)
            var kubeconfig = Kubeconfig(server: cluster.server.url, authority: authority.certificate)
            kubeconfig.clusterFields.append("tls-server-name: other.example.org")
            try cluster.directory.write(kubeconfig.text, to: "kubeconfig")
            try await recovers(cluster, after: line)
        }
    }

    @Test("a certificate for the peer's address is no certificate for the name that tls-server-name gives")
    func addressForName() async throws {
        let authority = try FollowedCluster.authority.get()
        let credential = try authority.server(names: ["kubernetes"], addresses: ["127.0.0.1"])
        let cluster = try await FollowedCluster(
            credential: credential,
            kubeconfig: { kubeconfig, _ in
                kubeconfig.clusterFields.append("tls-server-name: kubernetes.default")
            })
        try await cluster.run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            let line = try await cluster.complaint(containing: "certificate", "kubernetes.default")
            #expect(cluster.server.requests.isEmpty)
            var kubeconfig = Kubeconfig(server: cluster.server.url, authority: authority.certificate)
            kubeconfig.clusterFields.append("tls-server-name: kubernetes")
            try cluster.directory.write(kubeconfig.text, to: "kubeconfig")
            try await recovers(cluster, after: line)
        }
    }

    @Test("a certificate for the peer's address is no certificate for a server that is given by its name")
    func addressForHost() async throws {
        let authority = try FollowedCluster.authority.get()
        let credential = try authority.server(names: ["kubernetes"], addresses: ["127.0.0.1"])
        let cluster = try await FollowedCluster(
            credential: credential,
            kubeconfig: { kubeconfig, _ in
                kubeconfig.server = kubeconfig.server.replacing("127.0.0.1", with: "localhost")
            })
        try await cluster.run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            let line = try await cluster.complaint(containing: "certificate", "localhost")
            #expect(cluster.server.requests.isEmpty)
            try cluster.server.present(
                authority.server(names: ["localhost"], addresses: ["192.0.2.1"]))
            try await recovers(cluster, after: line)
        }
    }

    @Test("over HTTP/2, too, the wrong server is sent no request")
    func addressForNameHTTP2() async throws {
        let authority = try FollowedCluster.authority.get()
        for isRight in [false, true] {
            let peer = try await HTTP2Greeter(
                authority.server(
                    names: [isRight ? "kubernetes.default" : "kubernetes"], addresses: ["127.0.0.1"]))
            let cluster = try await FollowedCluster(kubeconfig: { kubeconfig, _ in
                kubeconfig.server = "https://127.0.0.1:\(peer.port)"
                kubeconfig.clusterFields.append("tls-server-name: kubernetes.default")
            })
            try await cluster.run { cluster in
                cluster.follow()
                let (settings, headers): (UInt8, UInt8) = (4, 1)
                let types = try await within("the connection neither brought a request nor ended") {
                    await peer.frameTypes(until: headers)
                }
                #expect(types.contains(settings))
                #expect(types.contains(headers) == isRight)
                if !isRight {
                    _ = try await cluster.complaint(containing: "certificate", "kubernetes.default")
                }
            }
            await peer.stop()
        }
    }

    @Test("insecure-skip-tls-verify takes any certificate")
    func insecure() async throws {
        let stranger = try CertificateAuthority("stranger").server(
            names: ["other.example.org"], addresses: [])
        let cluster = try await FollowedCluster(
            credential: stranger,
            kubeconfig: { kubeconfig, _ in
                kubeconfig.clusterFields = ["insecure-skip-tls-verify: true"]
            })
        try await cluster.run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.follow()
            try await cluster.settle()
        }
    }

    @Test("an unreachable server is told by its address")
    func unreachable() async throws {
        try await FollowedCluster().run { cluster in
            SmallCluster.fill(cluster.store)
            await cluster.server.stop()
            cluster.follow()
            let line = try await cluster.complaint(
                containing: "127.0.0.1:\(cluster.server.port)", "list", "refused")
            try await cluster.server.start()
            try await recovers(cluster, after: line)
        }
    }

    @Test("a kubeconfig that can't be read is told by its path, and read again")
    func wrongKubeconfig() async throws {
        try await FollowedCluster().run { cluster in
            SmallCluster.fill(cluster.store)
            let right = try cluster.directory.read("kubeconfig")
            try cluster.directory.write("clusters: [", to: "kubeconfig")
            cluster.follow()
            let line = try await cluster.complaint(containing: cluster.kubeconfigPath)
            try cluster.directory.write(
                right.replacing("current-context: test", with: "current-context: nowhere"), to: "kubeconfig")
            _ = try await cluster.complaint(containing: cluster.kubeconfigPath, "nowhere")
            try cluster.directory.write(right, to: "kubeconfig")
            try await recovers(cluster, after: line)
        }
    }

    @Test("what the client may not do is told with verb and resource", arguments: APIResource.allCases)
    func forbidden(_ resource: APIResource) async throws {
        try await FollowedCluster().run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.server.access.forbid(nil, resource.rawValue)
            cluster.follow()
            let line = try await cluster.complaint(
                containing: "127.0.0.1:\(cluster.server.port)", resource.rawValue, "403")
            #expect(line.contains("list") || line.contains("watch"))
            // A proxy can do without a Node and without ServiceCIDRs, and with nothing else.
            if resource == .nodes || resource == .serviceCIDRs {
                try await within("complete without \(resource)") {
                    try await cluster.view.wait { $0.completed.count == 4 }
                }
            } else {
                try await within("all others complete") {
                    try await cluster.view.wait { $0.completed.count == 3 }
                }
            }
            cluster.server.access.allowAll()
            try await recovers(cluster, after: line)
        }
    }

    @Test("a client that may list and not watch says so")
    func watchForbidden() async throws {
        try await FollowedCluster().run { cluster in
            SmallCluster.fill(cluster.store)
            cluster.server.access.forbid(.watch, "services")
            cluster.follow()
            let line = try await cluster.complaint(containing: "watch services", "403")
            cluster.store.put(APIObject(SmallCluster.service(0, number: 700)))
            cluster.server.access.allowAll()
            try await recovers(cluster, after: line)
        }
    }
}
