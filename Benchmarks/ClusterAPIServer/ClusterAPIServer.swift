import ArgumentParser
import ClusterGenerator
import Foundation
import KubernetesAPI
import TestAPIServer

/// Serves a generated cluster as an API server does, to measure how an agent starts and follows.
@main
struct ClusterAPIServer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ClusterAPIServer",
        abstract: "Serve a generated cluster over TLS, as a Kubernetes API server would.",
        discussion: """
            Listens on 127.0.0.1 and writes a kubeconfig into a folder. Prints one JSON object a line: first where it \
            listens, then each endpoint that is replaced. Times are nanoseconds of CLOCK_MONOTONIC, the same for all \
            processes of the machine. Ends with its standard input, or SIGTERM.
            """)

    @Option(help: "Services, up to 65536.")
    var services = 5_006

    @Option(help: "Endpoints of each Service.")
    var endpoints = 50

    @Option(help: ArgumentHelp("Where the kubeconfig is written, as `kubeconfig`.", valueName: "folder"))
    var folder: String

    @Option(help: "The port; 0 for a free one.")
    var port = 0

    @Option(help: ArgumentHelp("Replace so many endpoints, one after the other.", valueName: "n"))
    var replacements = 0

    @Option(help: ArgumentHelp("Time from one to the next, in milliseconds.", valueName: "ms"))
    var interval = 1_000

    @Option(help: ArgumentHelp("Time from a client's first watch to the first one.", valueName: "ms"))
    var settle = 5_000

    @Flag(help: "Write JSON bodies, and no protobuf.")
    var json = false

    @Flag(help: "Refuse `sendInitialEvents`, as servers before 1.32 do: clients list by pages.")
    var noInitialEvents = false

    func validate() throws {
        guard (1...1 << 16).contains(services), (1...1_000).contains(endpoints),
            services * endpoints < 1 << 23
        else {
            throw ValidationError("--services is 1 to 65536, --endpoints 1 to 1000, together under 8388608.")
        }
        guard (0...65_535).contains(port) else { throw ValidationError("--port is 0 to 65535.") }
        guard replacements >= 0, interval >= 0, settle >= 0 else {
            throw ValidationError("--replacements, --interval and --settle are 0 or more.")
        }
    }

    func run() async throws {
        let cluster = GeneratedCluster(services: services, endpoints: endpoints)
        let store = ObjectStore()
        for object in cluster.objects { store.put(APIObject(object)) }
        for number in 0..<GeneratedCluster.nodeCount {
            store.put(APIObject(Node(name: GeneratedCluster.nodeName(number), zone: "zone-\(number % 3)")))
        }
        store.encodeAll(json ? .json : .protobuf)

        let written = WrittenEvents()
        var settings = TestAPIServer.Configuration()
        settings.mediaTypes = json ? [.json] : [.json, .protobuf]
        settings.streamsInitialEvents = !noInitialEvents
        settings.onEventWritten = { resource, version in
            if resource == .endpointSlices { written.add(version, at: MonotonicClock.now()) }
        }
        let authority = try CertificateAuthority()
        let server = try TestAPIServer(store, credential: authority.server(), configuration: settings)
        // What service proxies ask for; the bodies of other lists are made when they are asked for.
        for list in Self.lists { try server.prepare(list: list, json ? .json : .protobuf) }
        try await server.start(port: port)
        let kubeconfig = URL(filePath: folder).appending(path: "kubeconfig")
        let text = Kubeconfig(server: server.url, authority: authority.certificate).text
        try Data(text.utf8).write(to: kubeconfig)
        Output.print(#"{"url":"\#(server.url)","kubeconfig":"\#(kubeconfig.path)"}"#)

        let replay = Task {
            guard replacements > 0 else { return }
            _ = try await server.request {
                $0.verb == .watch && $0.resource == APIResource.endpointSlices.rawValue
            }
            try await Task.sleep(for: .milliseconds(settle))
            for number in 0..<replacements {
                try await Replacement(number, of: cluster).perform(on: store, written)
                try await Task.sleep(for: .milliseconds(interval))
            }
        }
        await Self.endOfInput()
        replay.cancel()
        _ = await replay.result
        await server.stop()
    }

    private static let lists = [
        "/api/v1/services?resourceVersion=0&labelSelector=%21service.kubernetes.io%2Fservice-proxy-name"
            + "&fieldSelector=spec.clusterIP%21%3DNone",
        "/apis/discovery.k8s.io/v1/endpointslices?resourceVersion=0"
            + "&labelSelector=%21service.kubernetes.io%2Fheadless",
    ]

    /// Waits for the end of standard input, on a thread of its own: reading blocks.
    private static func endOfInput() async {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                while readLine() != nil {}
                continuation.resume()
            }
        }
    }
}

enum Output {
    /// One line on standard output, at once: who reads it may be a pipe.
    static func print(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }
}
