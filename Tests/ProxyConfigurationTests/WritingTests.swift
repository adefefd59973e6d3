import Foundation
import SeededRandom
import Testing

@testable import ProxyConfiguration

@Suite struct WritingTests {
    @Test("what is written reads back as the same value")
    func full() throws {
        let full = try ConfigurationText.parsed(ConfigurationText.full)
        #expect(try ConfigurationText.parsed(full.yaml()) == full)
        let effective = full.withDefaults().withPlatformDefaults()
        #expect(try ConfigurationText.parsed(effective.yaml()) == effective)
        #expect(effective.withDefaults().withPlatformDefaults() == effective)
    }

    @Test("text that looks like something else is quoted")
    func quoting() throws {
        var configuration = KubeProxyConfiguration()
        for text in [
            "true", "0", "~", "", "null", "1e3", "a: b", "# no", "- x", "'", "\"", "é\n\tx", "*a", "0o7",
        ] {
            configuration.hostnameOverride = text
            configuration.winkernel.networkName = text
            #expect(try ConfigurationText.parsed(configuration.yaml()) == configuration, "\(text)")
            #expect(try ConfigurationText.parsed(configuration.json()) == configuration, "\(text)")
        }
    }

    @Test("random configurations read back", arguments: [UInt64.random(in: 0...UInt64.max)])
    func random(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            let configuration = Self.configuration(&random)
            #expect(
                try ConfigurationText.parsed(configuration.yaml()) == configuration,
                "seed \(seed): \(configuration.yaml())")
            #expect(try ConfigurationText.parsed(configuration.json()) == configuration, "seed \(seed)")
        }
    }

    /// Values that pass the checks, in fields of every kind.
    private static func configuration(_ random: inout SeededGenerator) -> KubeProxyConfiguration {
        var result = KubeProxyConfiguration()
        let texts = ["", "plain", "with space", "yes", "12", "x\"y'z", "\u{e9}\u{1f600}", "a\\b"]
        func text() -> String { texts.randomElement(using: &random) ?? "" }
        func duration() -> GoDuration {
            GoDuration(
                nanoseconds: Int64.random(
                    in: 0...Int64.max >> Int64.random(in: 0...62, using: &random), using: &random))
        }
        result.hostnameOverride = text()
        result.ipvs.scheduler = text()
        result.winkernel.sourceVip = text()
        result.clientConnection.qps = Double.random(in: -1...1e6, using: &random)
        result.clientConnection.burst = Int32.random(in: 0 ... .max, using: &random)
        result.oomScoreAdj = random.once(in: 3) ? nil : Int32.random(in: -1000...1000, using: &random)
        result.conntrack.tcpEstablishedTimeout = random.once(in: 3) ? nil : duration()
        result.conntrack.udpTimeout = duration()
        result.configSyncPeriod = duration()
        result.logging.flushFrequency = duration()
        result.logging.verbosity = UInt32.random(in: 0...1_000, using: &random)
        result.logging.vmodule = (0..<Int.random(in: 0...3, using: &random)).map { index in
            .init(filePattern: "file\(index)", verbosity: UInt32(index))
        }
        result.featureGates = random.once(in: 2) ? [:] : ["A": true, "b c": false]
        result.iptables.localhostNodePorts = [nil, true, false].randomElement(using: &random) ?? nil
        result.ipvs.excludeCIDRs = (0..<Int.random(in: 0...3, using: &random)).map { _ in text() }
        result.nodePortAddresses = random.once(in: 2) ? [] : ["primary"]
        return result
    }

    @Test("/configz shows the configuration under its group's name")
    func configz() throws {
        let configuration = try ConfigurationText.parsed(ConfigurationText.full)
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(configuration.configz().utf8)) as? [String: Any])
        #expect(Array(object.keys) == ["kubeproxy.config.k8s.io"])
        let inner = try #require(object["kubeproxy.config.k8s.io"] as? [String: Any])
        #expect(inner["hostnameOverride"] as? String == "Node-7")
        #expect(inner["conntrack"] as? [String: Any] != nil)
        #expect((inner["nftables"] as? [String: Any])?["minSyncPeriod"] as? String == "250ms")
    }
}
