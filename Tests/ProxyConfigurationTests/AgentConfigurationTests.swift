import Agent
import ArgumentParser
import Foundation
import HostNetwork
import IPAddressing
import KubeProxyFlags
import Ruleset
import Testing

@testable import ProxyConfiguration

@Suite struct AgentConfigurationTests {
    private func agent(
        _ text: String, _ flags: String..., hostName: String = "host"
    ) throws -> AgentConfiguration {
        let file = KubeProxyConfiguration.File(
            configuration: try ConfigurationText.parsed(text), contents: Data(text.utf8))
        return try AgentConfiguration(
            file, at: "config.conf", try KubeProxyOptions.parse(CommandLineForms.normalized(flags)).settings,
            hostName: { hostName })
    }

    private func network(_ text: String) throws -> IPNetwork { try #require(IPNetwork(text)) }

    @Test("kubeadm's file gives kube-proxy's defaults, and nothing to warn of")
    func kubeadm() throws {
        let agent = try agent(ConfigurationText.kubeadm, "--hostname-override=node-1")
        #expect(
            agent.proxy
                == ProxySettings(nodeName: "node-1", localMode: .clusterCIDR([try network("10.244.0.0/16")])))
        #expect(agent.client.kubeconfig == "/var/lib/kube-proxy/kubeconfig.conf")
        #expect(agent.client.master == nil)
        #expect(agent.client.qps == 5)
        #expect(agent.client.burst == 10)
        #expect(agent.client.contentType == "application/vnd.kubernetes.protobuf")
        #expect(agent.healthzAddress?.description == "0.0.0.0:10256")
        #expect(agent.metricsAddress?.description == "127.0.0.1:10249")
        #expect(!agent.bindAddressHardFail)
        #expect(agent.conntrack.parameters(cores: 8) == ConntrackSettings().parameters(cores: 8))
        #expect(agent.oomScoreAdjustment == -999)
        #expect(agent.syncPeriod == .seconds(30))
        #expect(agent.configSyncPeriod == .seconds(900))
        #expect(agent.logging == .init(format: .text, verbosity: 0))
        #expect(agent.notices.filter(\.isWarning).isEmpty, "\(agent.notices)")
        #expect(agent.notices.map(\.setting) == ["nodePortAddresses"])
    }

    @Test("the full file reaches the agent")
    func full() throws {
        let agent = try agent(ConfigurationText.full)
        #expect(
            agent.proxy
                == ProxySettings(
                    nodeName: "node-7", localMode: .interfaceNamePrefix("veth"), masqueradeAll: true,
                    nodePortAddresses: .networks([try network("192.0.2.0/24")]),
                    primaryAddress: IPAddress("2001:db8::7"), masqueradeBit: 31,
                    minSyncPeriod: .milliseconds(250)))
        #expect(agent.proxy.ruleset.masqueradeMark == 0x8000_0000)
        #expect(agent.client.qps == 12.5)
        #expect(agent.healthzAddress?.description == "[2001:db8::7]:10300")
        #expect(agent.metricsAddress?.description == "[2001:db8::7]:10249")
        #expect(agent.bindAddressHardFail)
        #expect(
            agent.conntrack
                == ConntrackSettings(
                    maxPerCore: 1024, min: 2048, tcpEstablishedTimeout: .seconds(7200),
                    tcpCloseWaitTimeout: .seconds(30), tcpBeLiberal: true, udpTimeout: .seconds(20),
                    udpStreamTimeout: .seconds(180)))
        #expect(agent.oomScoreAdjustment == -500)
        #expect(agent.syncPeriod == .seconds(3600))
        #expect(agent.featureGates == ["ContextualLogging": true, "TopologyAwareHints": false])
    }

    @Test("IPv4 numbers with leading zeros are decimal in flags and files, as for kube-proxy")
    func leadingZeros() throws {
        let text = """
            apiVersion: kubeproxy.config.k8s.io/v1alpha1
            kind: KubeProxyConfiguration
            bindAddress: 192.000.2.07
            clusterCIDR: 010.0.0.0/08
            nodePortAddresses: [192.0.02.0/24]
            healthzBindAddress: 127.0.0.01:10256
            metricsBindAddress: 127.0.0.01
            """
        let flags = [
            "--bind-address=192.000.2.07", "--cluster-cidr=010.0.0.0/08",
            "--nodeport-addresses=192.0.02.0/24",
            "--healthz-bind-address=127.0.0.01:10256", "--metrics-bind-address=127.0.0.01",
        ]
        let given = try KubeProxyOptions.parse(CommandLineForms.normalized(flags)).settings
        for agent in [
            try agent(text), try AgentConfiguration(given.configuration, hostName: { "host" }),
        ] {
            #expect(agent.proxy.primaryAddress == IPAddress("192.0.2.7"))
            #expect(agent.proxy.localMode == .clusterCIDR([try network("10.0.0.0/8")]))
            #expect(agent.proxy.nodePortAddresses == .networks([try network("192.0.2.0/24")]))
            #expect(agent.healthzAddress?.description == "127.0.0.1:10256")
            #expect(agent.metricsAddress?.description == "127.0.0.1:10249")
        }
    }

    @Test("what has no effect is told once each, with what is done instead")
    func notices() throws {
        let notices = try agent(ConfigurationText.full).notices
        #expect(
            notices.filter(\.isWarning).map(\.setting) == [
                "featureGates", "iptables.localhostNodePorts", "iptables.syncPeriod",
                "iptables.minSyncPeriod",
                "iptables.masqueradeAll", "iptables.masqueradeBit", "ipvs.syncPeriod", "ipvs.minSyncPeriod",
                "ipvs.scheduler", "ipvs.excludeCIDRs", "ipvs.strictARP", "ipvs.tcpTimeout",
                "ipvs.tcpFinTimeout",
                "ipvs.udpTimeout", "winkernel.networkName", "winkernel.sourceVip", "winkernel.enableDSR",
                "winkernel.rootHnsEndpointName", "winkernel.forwardHealthCheckVip", "windowsRunAsService",
                "logging.vmodule", "logging.flushFrequency", "logging.options.text", "logging.options.json",
                "enableProfiling", "showHiddenMetricsForVersion", "portRange",
            ])
        #expect(notices.contains { $0.description == "ipvs.scheduler: wlc: round robin is used" })
        #expect(
            notices.contains {
                $0.description
                    == "featureGates: no effect: Sluice has none of ContextualLogging, TopologyAwareHints"
            })
    }

    @Test(
        "whose settings are read follows the mode",
        arguments: [
            ("", 1, false, 10), ("iptables", 1, false, 10), ("ipvs", 1, false, 20), ("nftables", 3, true, 30),
        ])
    func modes(mode: String, bit: Int, masqueradeAll: Bool, period: Int) throws {
        let text =
            ConfigurationText.header + """
                mode: "\(mode)"
                iptables: {masqueradeBit: 1, masqueradeAll: false, syncPeriod: 10s, minSyncPeriod: 1s}
                ipvs: {syncPeriod: 20s, minSyncPeriod: 2s, scheduler: rr}
                nftables: {masqueradeBit: 3, masqueradeAll: true, syncPeriod: 30s, minSyncPeriod: 3s}
                """
        let agent = try agent(text)
        #expect(agent.proxy.masqueradeBit == bit)
        #expect(agent.proxy.masqueradeAll == masqueradeAll)
        #expect(agent.syncPeriod == .seconds(period))
        #expect(agent.proxy.minSyncPeriod == .seconds(period / 10))
        #expect(agent.notices.contains { $0.setting == "ipvs.scheduler" && !$0.isWarning })
        let isOther = ["ipvs", "iptables"].contains(mode)
        #expect(
            agent.notices.contains {
                $0.description == "mode: \(mode): Sluice serves with nftables, whatever the mode"
            } == isOther)
    }

    @Test("the feature gate AllowServiceExternalIPs counts, and nothing is said of it")
    func externalIPsGate() throws {
        for (value, isServed) in [(nil, true), (true, true), (false, false)] as [(Bool?, Bool)] {
            var given = KubeProxyConfiguration()
            if let value { given.featureGates = ["AllowServiceExternalIPs": value] }
            let agent = try AgentConfiguration(given) { "n" }
            #expect(agent.proxy.servesExternalIPs == isServed)
            #expect(!agent.notices.contains { $0.setting == "featureGates" })
        }
    }

    @Test("with a file, only the flags for logging, the node's name and the server's address count")
    func precedence() throws {
        let text =
            ConfigurationText.header
            + "hostnameOverride: of-file\nlogging: {format: json, verbosity: 5}\nmode: nftables\nclusterCIDR: 10.0.0.0/8\n"
        let plain = try agent(text)
        #expect(plain.proxy.nodeName == "of-file")
        #expect(plain.logging == .init(format: .json, verbosity: 5))
        #expect(plain.notices.isEmpty)
        let flagged = try agent(
            text, "--config=config.conf", "-v=2", "--log-format=text", "--hostname-override= Node-1 ",
            "--master=https://192.0.2.1:6443", "--masquerade-all", "--cluster-cidr=192.168.0.0/16",
            "--conntrack-min=1")
        #expect(flagged.proxy.nodeName == "node-1")
        #expect(flagged.effective.hostnameOverride == "node-1")
        #expect(flagged.logging == .init(format: .text, verbosity: 2))
        #expect(flagged.client.master == "https://192.0.2.1:6443")
        #expect(!flagged.proxy.masqueradeAll)
        #expect(flagged.proxy.localMode == .clusterCIDR([try network("10.0.0.0/8")]))
        #expect(
            flagged.notices.map(\.description)
                == ["--config: the file counts, not --cluster-cidr --masquerade-all --conntrack-min"])
    }

    @Test("the node's name is the host's when nothing else says it, in lower case")
    func nodeName() throws {
        #expect(
            try agent(ConfigurationText.header, hostName: "HOST.example ").proxy.nodeName == "host.example")
        // A variable that isn't set leaves an empty flag.
        let unset = try agent(ConfigurationText.header + "hostnameOverride: File\n", "--hostname-override=")
        #expect(unset.proxy.nodeName == "file")
        let error = #expect(throws: ConfigurationError.self) {
            try agent(ConfigurationText.header, hostName: " ")
        }
        #expect(error?.description == "config.conf: hostnameOverride: empty")
    }

    @Test("ClusterCIDR without a network tells no pods, and says so")
    func noNetwork() throws {
        let agent = try agent(ConfigurationText.header)
        #expect(agent.proxy.localMode == nil)
        #expect(agent.notices.contains { $0.setting == "clusterCIDR" })
    }

    @Test("no limit for requests is one below 0")
    func qps() throws {
        #expect(try agent(ConfigurationText.header + "clientConnection: {qps: -1}\n").client.qps == nil)
    }

    @Test(
        "quantities and ranges of ports",
        arguments: [
            ("0", true), ("64Ki", true), ("1.5G", true), ("1e3", true), ("", false), ("x", false),
            ("1KB", false),
        ])
    func quantities(text: String, isOne: Bool) {
        #expect(ConfigurationValidation.isQuantity(text) == isOne)
    }

    @Test(
        "ranges of ports are read as kube-proxy reads them",
        arguments: [
            ("", true), ("0-0", true), ("300-2000", true), ("300+5", true), ("80", true), ("2-1", false),
            ("a", false), ("1-70000", false), ("-", false),
        ])
    func portRanges(text: String, isOne: Bool) {
        #expect(ConfigurationValidation.isPortRange(text) == isOne)
    }
}
