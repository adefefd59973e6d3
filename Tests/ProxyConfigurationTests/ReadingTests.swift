import Documents
import Foundation
import Testing

@testable import ProxyConfiguration

@Suite struct ReadingTests {
    @Test("what kubeadm writes for kube-proxy is read, and stands for the defaults")
    func kubeadm() throws {
        let configuration = try ConfigurationText.parsed(ConfigurationText.kubeadm)
        var expected = KubeProxyConfiguration()
        expected.bindAddress = "0.0.0.0"
        expected.clientConnection.kubeconfig = "/var/lib/kube-proxy/kubeconfig.conf"
        expected.clusterCIDR = "10.244.0.0/16"
        expected.logging.text.infoBufferSize = "0"
        expected.logging.json.infoBufferSize = "0"
        #expect(configuration == expected)
        let effective = configuration.withDefaults().withPlatformDefaults()
        #expect(effective.yaml() == Self.kubeadmEffective)
    }

    /// As `kube-proxy --write-config-to` has it, but for what Sluice does otherwise: minSyncPeriod 0 s, node ports
    /// on primary addresses and never on loopback.
    private static let kubeadmEffective = """
        apiVersion: kubeproxy.config.k8s.io/v1alpha1
        bindAddress: 0.0.0.0
        bindAddressHardFail: false
        clientConnection:
          acceptContentTypes: ""
          burst: 10
          contentType: application/vnd.kubernetes.protobuf
          kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
          qps: 5
        clusterCIDR: 10.244.0.0/16
        configSyncPeriod: 15m0s
        conntrack:
          maxPerCore: 32768
          min: 131072
          tcpBeLiberal: false
          tcpCloseWaitTimeout: 1h0m0s
          tcpEstablishedTimeout: 24h0m0s
          udpStreamTimeout: 0s
          udpTimeout: 0s
        detectLocal:
          bridgeInterface: ""
          interfaceNamePrefix: ""
        detectLocalMode: ClusterCIDR
        enableProfiling: false
        healthzBindAddress: 0.0.0.0:10256
        hostnameOverride: ""
        iptables:
          localhostNodePorts: false
          masqueradeAll: false
          masqueradeBit: 14
          minSyncPeriod: 0s
          syncPeriod: 30s
        ipvs:
          excludeCIDRs: null
          minSyncPeriod: 0s
          scheduler: ""
          strictARP: false
          syncPeriod: 30s
          tcpFinTimeout: 0s
          tcpTimeout: 0s
          udpTimeout: 0s
        kind: KubeProxyConfiguration
        logging:
          flushFrequency: 5s
          format: text
          options:
            json:
              infoBufferSize: "0"
            text:
              infoBufferSize: "0"
          verbosity: 0
        metricsBindAddress: 127.0.0.1:10249
        mode: ""
        nftables:
          masqueradeAll: false
          masqueradeBit: 14
          minSyncPeriod: 0s
          syncPeriod: 30s
        nodePortAddresses:
        - primary
        oomScoreAdj: -999
        portRange: ""
        showHiddenMetricsForVersion: ""
        winkernel:
          enableDSR: false
          forwardHealthCheckVip: false
          networkName: ""
          rootHnsEndpointName: ""
          sourceVip: ""

        """

    @Test("every field arrives where it belongs")
    func full() throws {
        var expected = KubeProxyConfiguration()
        expected.featureGates = ["ContextualLogging": true, "TopologyAwareHints": false]
        expected.clientConnection.kubeconfig = "/etc/kubeconfig"
        expected.clientConnection.acceptContentTypes = "application/json"
        expected.clientConnection.contentType = "application/json"
        expected.clientConnection.qps = 12.5
        expected.clientConnection.burst = 40
        expected.logging.format = "text"
        expected.logging.flushFrequency = .seconds(2)
        expected.logging.verbosity = 3
        expected.logging.vmodule = [.init(filePattern: "proxier*", verbosity: 6)]
        expected.logging.text.splitStream = true
        expected.logging.text.infoBufferSize = "64Ki"
        expected.logging.json.splitStream = true
        expected.logging.json.infoBufferSize = "1k"
        expected.hostnameOverride = "Node-7"
        expected.bindAddress = "2001:db8::7"
        expected.healthzBindAddress = "[2001:db8::7]:10300"
        expected.metricsBindAddress = "2001:db8::7"
        expected.bindAddressHardFail = true
        expected.enableProfiling = true
        expected.showHiddenMetricsForVersion = "1.35"
        expected.mode = "nftables"
        expected.iptables.masqueradeBit = 15
        expected.iptables.masqueradeAll = true
        expected.iptables.localhostNodePorts = true
        expected.iptables.syncPeriod = .seconds(60)
        expected.iptables.minSyncPeriod = .seconds(2)
        expected.ipvs.syncPeriod = .seconds(40)
        expected.ipvs.minSyncPeriod = .seconds(3)
        expected.ipvs.scheduler = "wlc"
        expected.ipvs.excludeCIDRs = ["10.20.30.40/16", "fd00:1::0/64"]
        expected.ipvs.strictARP = true
        expected.ipvs.tcpTimeout = .seconds(900)
        expected.ipvs.tcpFinTimeout = .seconds(120)
        expected.ipvs.udpTimeout = .seconds(300)
        expected.nftables.masqueradeBit = 31
        expected.nftables.masqueradeAll = true
        expected.nftables.syncPeriod = .seconds(3600)
        expected.nftables.minSyncPeriod = GoDuration(nanoseconds: 250_000_000)
        expected.winkernel.networkName = "net"
        expected.winkernel.sourceVip = "192.0.2.9"
        expected.winkernel.enableDSR = true
        expected.winkernel.rootHnsEndpointName = "root"
        expected.winkernel.forwardHealthCheckVip = true
        expected.detectLocalMode = "InterfaceNamePrefix"
        expected.detectLocal.bridgeInterface = "cbr0"
        expected.detectLocal.interfaceNamePrefix = "veth"
        expected.clusterCIDR = "10.244.0.0/16,fd00:244::/56"
        expected.nodePortAddresses = ["192.0.2.0/24"]
        expected.oomScoreAdj = -500
        expected.conntrack.maxPerCore = 1024
        expected.conntrack.min = 2048
        expected.conntrack.tcpEstablishedTimeout = .seconds(7200)
        expected.conntrack.tcpCloseWaitTimeout = .seconds(30)
        expected.conntrack.tcpBeLiberal = true
        expected.conntrack.udpTimeout = .seconds(20)
        expected.conntrack.udpStreamTimeout = .seconds(180)
        expected.configSyncPeriod = .seconds(600)
        expected.portRange = "300-2000"
        expected.windowsRunAsService = true
        #expect(try ConfigurationText.parsed(ConfigurationText.full) == expected)
    }

    @Test("the full file leaves no field at its zero value")
    func fullIsFull() throws {
        let (full, empty) = (try ConfigurationText.parsed(ConfigurationText.full), KubeProxyConfiguration())
        for field in ConfigurationField.all {
            let place = field.access.place
            #expect("\(full[keyPath: place] as Any)" != "\(empty[keyPath: place] as Any)", "\(field.path)")
        }
        #expect(ConfigurationField.byPath.count == ConfigurationField.all.count)
    }

    /// The field at `path` alone, on line 3, with a value in YAML's flow style.
    private func file(_ path: FieldPath, _ value: String) -> String {
        let names = path.steps.map { step in
            if case .key(let name) = step { name } else { "" }
        }
        let opening = names.joined(separator: ": {")
        return ConfigurationText.header + opening + ": " + value
            + String(repeating: "}", count: names.count - 1) + "\n"
    }

    @Test("null is the same as nothing, for each field")
    func null() throws {
        for field in ConfigurationField.all {
            #expect(try ConfigurationText.parsed(file(field.path, "null")) == KubeProxyConfiguration())
            #expect(try ConfigurationText.parsed(file(field.path, "")) == KubeProxyConfiguration())
        }
        #expect(
            try ConfigurationText.parsed(ConfigurationText.header + "conntrack: null\nipvs:\n")
                == KubeProxyConfiguration())
    }

    @Test("each field of another type is an error with file, line, field and what was found")
    func wrongTypes() {
        for field in ConfigurationField.all {
            let isMapping = if case .switches = field.access { true } else { false }
            let (value, shown) = isMapping ? ("[x]", "a list") : ("{a: b}", "a mapping")
            let problems = ConfigurationText.problems(in: file(field.path, value))
            #expect(problems.count == 1, "\(problems)")
            #expect(
                problems.first?.hasPrefix("config.conf:3: \(field.path): \(shown) is not ") == true,
                "\(problems)")
        }
    }

    @Test("an unknown field is an error, in each mapping")
    func unknown() {
        for parent in ConfigurationField.children.keys {
            let path = parent["nosuch"]
            #expect(
                ConfigurationText.problems(in: file(path, "1"))
                    == ["config.conf:3: \(path): unknown field"])
        }
        #expect(
            ConfigurationText.problems(in: ConfigurationText.header + "conntrack: {maxpercore: 1}\n")
                == ["config.conf:3: conntrack.maxpercore: unknown field; is maxPerCore meant?"])
        #expect(
            ConfigurationText.problems(in: ConfigurationText.header + "\"a\\nb\": 1\n")
                == ["config.conf:3: \"a\\nb\": unknown field"])
    }

    @Test(
        "scalars of the wrong kind are errors",
        arguments: [
            ("mode: 5", "mode: 5 is not a string"), ("mode: on", "mode: true is not a string"),
            ("hostnameOverride: 0x10", "hostnameOverride: 16 is not a string"),
            ("bindAddressHardFail: \"true\"", "bindAddressHardFail: \"true\" is not true or false"),
            ("bindAddressHardFail: 1", "bindAddressHardFail: 1 is not true or false"),
            ("oomScoreAdj: \"5\"", "oomScoreAdj: \"5\" is not a whole number of 32 bits"),
            ("oomScoreAdj: 5.5", "oomScoreAdj: 5.5 is not a whole number of 32 bits"),
            ("oomScoreAdj: 2147483648", "oomScoreAdj: 2147483648 is not a whole number of 32 bits"),
            ("configSyncPeriod: 5", "configSyncPeriod: 5 is not a duration such as 1h0m0s"),
            ("configSyncPeriod: 5 s", "configSyncPeriod: \"5 s\" is not a duration such as 1h0m0s"),
            ("clientConnection: {qps: many}", "clientConnection.qps: \"many\" is not a number"),
            ("clientConnection: 5", "clientConnection: 5 is not a mapping"),
            ("logging: {verbosity: -1}", "logging.verbosity: -1 is not a whole number from 0"),
            ("nodePortAddresses: 10.0.0.0/8", "nodePortAddresses: \"10.0.0.0/8\" is not a list"),
            ("nodePortAddresses: [10.0.0.0/8, 5]", "nodePortAddresses[1]: 5 is not a string"),
            ("featureGates: {A: maybe}", "featureGates.A: \"maybe\" is not true or false"),
            ("logging: {vmodule: [{filePattern: a, level: 3}]}", "logging.vmodule[0].level: unknown field"),
        ])
    func wrongScalars(line: String, problem: String) {
        #expect(
            ConfigurationText.problems(in: ConfigurationText.header + line + "\n")
                == ["config.conf:3: \(problem)"])
    }

    @Test("numbers may be written as JSON writes them, and flushFrequency as nanoseconds")
    func numbers() throws {
        let text =
            ConfigurationText.header
            + "oomScoreAdj: 5e2\nlogging: {flushFrequency: 1000000000, options: {text: {infoBufferSize: 0}}}\n"
        let configuration = try ConfigurationText.parsed(text)
        #expect(configuration.oomScoreAdj == 500)
        #expect(configuration.logging.flushFrequency == .seconds(1))
        #expect(configuration.logging.text.infoBufferSize == "0")
    }

    @Test("a key that stands twice is an error at its place, and the rest is read as well")
    func duplicates() {
        let text =
            ConfigurationText.header + """
                oomScoreAdj: 1
                conntrack:
                  min: 1
                  # in between
                  "max": 2
                  min: 3
                oomScoreAdj: 2
                ipvs: {scheduler: rr, strictARP: true, scheduler: lc}

                """
        #expect(
            ConfigurationText.problems(in: text) == [
                "config.conf:3: oomScoreAdj: twice in one mapping",
                "config.conf:5: conntrack.min: twice in one mapping",
                "config.conf:7: conntrack.max: unknown field",
                "config.conf:10: ipvs.scheduler: twice in one mapping",
            ])
        let json =
            "{\"kind\":\"KubeProxyConfiguration\",\"apiVersion\":\"kubeproxy.config.k8s.io/v1alpha1\",\n"
        #expect(
            ConfigurationText.problems(in: json + "\"mode\":\"\",\n\"mode\":\"\"}")
                == ["config.conf:2: mode: twice in one mapping"])
    }

    @Test("all that is wrong is told, in the order of the file")
    func all() {
        let text = """
            kind: KubeletConfiguration
            mode: kernelspace
            foo: 1
            conntrack:
              min: -1
              bar: 2
              udpTimeout: long
            clusterCIDR: 10.244.0.0/16,10.245.0.0/16
            nodePortAddresses:
              - 192.0.2.0/24
              - nonsense
            """
        #expect(
            ConfigurationText.problems(in: text) == [
                "config.conf:1: apiVersion: missing; it must be kubeproxy.config.k8s.io/v1alpha1",
                "config.conf:1: kind: \"KubeletConfiguration\" is not KubeProxyConfiguration",
                "config.conf:2: mode: kernelspace is for Windows; here it is nftables, iptables, ipvs or nothing",
                "config.conf:3: foo: unknown field",
                "config.conf:5: conntrack.min: -1 is below 0",
                "config.conf:6: conntrack.bar: unknown field",
                "config.conf:7: conntrack.udpTimeout: \"long\" is not a duration such as 1h0m0s",
                "config.conf:11: nodePortAddresses[1]: \"nonsense\" is not a CIDR block such as 10.244.0.0/16",
            ])
    }

    @Test(
        "a file that is no configuration says so",
        arguments: [
            ("", "config.conf: empty, not a KubeProxyConfiguration"),
            ("# nothing\n", "config.conf: empty, not a KubeProxyConfiguration"),
            ("- a\n", "config.conf:1: a list, not a KubeProxyConfiguration"),
            ("text", "config.conf:1: \"text\", not a KubeProxyConfiguration"),
        ])
    func noConfiguration(text: String, problem: String) {
        #expect(ConfigurationText.problems(in: text) == [problem])
    }

    @Test("text that isn't YAML, and a second document, are refused with the line")
    func notYAML() {
        let open = ConfigurationText.problems(in: ConfigurationText.header + "mode: [\n")
        #expect(open.count == 1)
        #expect(open.first?.hasPrefix("config.conf:") == true, "\(open)")
        #expect(open.first?.contains("not YAML") == true, "\(open)")
        let two = ConfigurationText.header + "---\n" + ConfigurationText.header
        #expect(
            ConfigurationText.problems(in: two)
                == ["config.conf:4: a second document; one configuration is read"])
        #expect(ConfigurationText.problems(in: "---\n" + ConfigurationText.header + "---\n") == [])
    }

    @Test("the same as JSON")
    func json() throws {
        let full = try ConfigurationText.parsed(ConfigurationText.full)
        #expect(try ConfigurationText.parsed(full.json()) == full)
        #expect(try ConfigurationText.parsed(full.json().replacing(",\"", with: ",\n\t\"")) == full)
    }

    @Test("a file that can't be read names itself")
    func unreadable() {
        for (path, message) in [
            ("/nonexistent/config.conf", "cannot be read: No such file or directory"),
            ("/tmp", "cannot be read: Invalid argument"),
        ] {
            let error = #expect(throws: ConfigurationError.self) {
                try KubeProxyConfiguration.read(file: path)
            }
            #expect(error?.description == "\(path): \(message)")
        }
    }
}
