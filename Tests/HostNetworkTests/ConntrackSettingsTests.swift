import Foundation
import HostNetwork
import TestNetwork
import Testing

/// The sysctls of connection tracking (contract, 28).
@Suite("Conntrack settings")
struct ConntrackSettingsTests {
    private static let netfilter = "/proc/sys/net/netfilter/nf_conntrack_"
    private static let hashSize = "/sys/module/nf_conntrack/parameters/hashsize"

    private func none() -> ConntrackSettings {
        ConntrackSettings(maxPerCore: 0, tcpEstablishedTimeout: nil, tcpCloseWaitTimeout: nil)
    }

    @Test(
        "the limit is for each core, but not less than the minimum",
        arguments: [
            (2, 131_072), (4, 131_072), (8, 262_144), (1_000_000, 2_147_483_647), (Int.max, 2_147_483_647),
        ])
    func limit(cores: Int, expected: Int) {
        let parameters = ConntrackSettings().parameters(cores: cores)
        #expect(
            parameters.prefix(2) == [
                KernelParameter(path: Self.netfilter + "max", value: expected),
                KernelParameter(path: Self.hashSize, value: expected / 4, isMinimum: true),
            ])
    }

    @Test("the defaults leave the windows and UDP alone")
    func defaults() {
        #expect(
            ConntrackSettings().parameters(cores: 2).dropFirst(2) == [
                KernelParameter(path: Self.netfilter + "tcp_timeout_established", value: 86_400),
                KernelParameter(path: Self.netfilter + "tcp_timeout_close_wait", value: 3_600),
            ])
    }

    @Test("what is 0 or unset is left alone")
    func nothing() {
        #expect(none().parameters(cores: 2).isEmpty)
        var settings = none()
        settings.maxPerCore = -1
        settings.tcpEstablishedTimeout = .zero
        settings.udpTimeout = .seconds(-1)
        #expect(settings.parameters(cores: 2).isEmpty)
        settings = ConntrackSettings(maxPerCore: 1, min: 0)
        #expect(settings.parameters(cores: 0).count == 2)
    }

    @Test("each setting has its file; part of a second counts as one")
    func each() {
        var settings = none()
        settings.tcpBeLiberal = true
        settings.udpTimeout = .milliseconds(500)
        settings.udpStreamTimeout = .milliseconds(1_500)
        #expect(
            settings.parameters(cores: 2) == [
                KernelParameter(path: Self.netfilter + "tcp_be_liberal", value: 1),
                KernelParameter(path: Self.netfilter + "udp_timeout", value: 1),
                KernelParameter(path: Self.netfilter + "udp_timeout_stream", value: 2),
            ])
        settings.udpTimeout = .seconds(Int64.max)
        #expect(settings.parameters(cores: 2)[1].value == 2_147_483_647)
    }

    @Test("a value is written only where it isn't right; what fails is told and the rest goes on")
    func writing() throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "parameters-\(UUID())")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: root) }
        func file(_ name: String) -> URL { root.appending(path: name) }
        try Data("432000\n".utf8).write(to: file("long"))
        try Data("7\n".utf8).write(to: file("right"))
        try Data("8\n".utf8).write(to: file("enough"))
        try Data("6\n".utf8).write(to: file("less"))
        try Data("odd\n".utf8).write(to: file("odd"))
        try FileManager.default.createDirectory(at: file("directory"), withIntermediateDirectories: true)

        let parameters = [
            KernelParameter(path: "/missing", value: 7), KernelParameter(path: "/long", value: 7),
            KernelParameter(path: "/right", value: 7), KernelParameter(path: "/directory", value: 7),
            KernelParameter(path: "/enough", value: 7, isMinimum: true),
            KernelParameter(path: "/less", value: 7, isMinimum: true),
            KernelParameter(path: "/odd", value: 7),
        ]
        let outcomes = KernelParameterWriter(root: root.path).apply(parameters)
        #expect(outcomes.map(\.parameter) == parameters)
        #expect(
            outcomes.map(\.result) == [
                .failed("open: No such file or directory"), .written(from: 432_000), .alreadyRight,
                .failed("open: Is a directory"), .alreadyRight, .written(from: 6), .written(from: nil),
            ])
        #expect(try String(contentsOf: file("long"), encoding: .utf8) == "7\n")
        #expect(try String(contentsOf: file("enough"), encoding: .utf8) == "8\n")
        #expect(try String(contentsOf: file("less"), encoding: .utf8) == "7\n")
        #expect(!FileManager.default.fileExists(atPath: file("missing").path))
        #expect(outcomes[0].description == "/missing can't be set to 7: open: No such file or directory")
    }

    @Test("a value that the kernel doesn't take is told")
    func refused() throws {
        // This file takes no writing at all, whatever the rights.
        let parameter = KernelParameter(path: "/proc/self/stat", value: 1)
        let outcome = try #require(KernelParameterWriter().apply([parameter]).first)
        guard case .failed = outcome.result else {
            Issue.record("\(outcome)")
            return
        }
    }

    @Test(
        "timeouts are set in the namespace of the calling thread",
        .enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)))
    func namespace() throws {
        let namespace = try Namespace("sysctl")
        // Connection tracking is there once a rule asks for it.
        try namespace.loadRules(
            "table ip t { chain c { type filter hook input priority 0; ct state new accept; }; }")
        var settings = none()
        settings.tcpEstablishedTimeout = .seconds(1_234)
        settings.tcpBeLiberal = true
        let parameters = settings.parameters(cores: 1)
        let first = try namespace.run { KernelParameterWriter().apply(parameters) }
        #expect(first.map(\.result) == [.written(from: 432_000), .written(from: 0)])
        let second = try namespace.run { KernelParameterWriter().apply(parameters) }
        #expect(second.map(\.result) == [.alreadyRight, .alreadyRight])
        let path = parameters[0].path
        #expect(try namespace.command("cat", path) == "1234\n")
    }
}
