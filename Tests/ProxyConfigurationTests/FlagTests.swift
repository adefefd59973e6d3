import Agent
import ArgumentParser
import IPAddressing
import ProxyConfiguration
import Testing

@testable import KubeProxyFlags

@Suite struct FlagTests {
    typealias Change = @Sendable (inout KubeProxyConfiguration) -> Void

    /// Each flag that stands for a field, a value for it, and what it does to the configuration.
    static let fields: [(flag: String, value: String, change: Change)] = [
        ("--proxy-mode", "nftables", { $0.mode = "nftables" }),
        ("--detect-local-mode", "NodeCIDR", { $0.detectLocalMode = "NodeCIDR" }),
        ("--cluster-cidr", "10.0.0.0/8,fd00::/8", { $0.clusterCIDR = "10.0.0.0/8,fd00::/8" }),
        ("--pod-bridge-interface", "cbr0", { $0.detectLocal.bridgeInterface = "cbr0" }),
        ("--pod-interface-name-prefix", "veth", { $0.detectLocal.interfaceNamePrefix = "veth" }),
        ("--nodeport-addresses", "192.0.2.0/24", { $0.nodePortAddresses = ["192.0.2.0/24"] }),
        ("--bind-address", "::1", { $0.bindAddress = "::1" }),
        ("--oom-score-adj", "-7", { $0.oomScoreAdj = -7 }),
        ("--feature-gates", "A=true,B=false", { $0.featureGates = ["A": true, "B": false] }),
        ("--kubeconfig", "/k", { $0.clientConnection.kubeconfig = "/k" }),
        ("--kube-api-qps", "7.5", { $0.clientConnection.qps = 7.5 }),
        ("--kube-api-burst", "9", { $0.clientConnection.burst = 9 }),
        (
            "--kube-api-content-type", "application/json",
            { $0.clientConnection.contentType = "application/json" }
        ),
        ("--config-sync-period", "1m", { $0.configSyncPeriod = GoDuration(.seconds(60)) }),
        ("--healthz-bind-address", "127.0.0.1:1", { $0.healthzBindAddress = "127.0.0.1:1" }),
        ("--metrics-bind-address", "[::1]:2", { $0.metricsBindAddress = "[::1]:2" }),
        ("--healthz-port", "3", { $0.healthzBindAddress = "0.0.0.0:3" }),
        ("--metrics-port", "4", { $0.metricsBindAddress = "127.0.0.1:4" }),
        ("--show-hidden-metrics-for-version", "1.35", { $0.showHiddenMetricsForVersion = "1.35" }),
        ("--conntrack-max-per-core", "0", { $0.conntrack.maxPerCore = 0 }),
        ("--conntrack-min", "5", { $0.conntrack.min = 5 }),
        (
            "--conntrack-tcp-timeout-established", "0",
            { $0.conntrack.tcpEstablishedTimeout = GoDuration(.zero) }
        ),
        (
            "--conntrack-tcp-timeout-close-wait", "5s",
            { $0.conntrack.tcpCloseWaitTimeout = GoDuration(.seconds(5)) }
        ),
        ("--conntrack-udp-timeout", "6s", { $0.conntrack.udpTimeout = GoDuration(.seconds(6)) }),
        ("--conntrack-udp-timeout-stream", "7s", { $0.conntrack.udpStreamTimeout = GoDuration(.seconds(7)) }),
        ("--iptables-masquerade-bit", "15", { $0.iptables.masqueradeBit = 15 }),
        ("--iptables-sync-period", "1m", { $0.iptables.syncPeriod = GoDuration(.seconds(60)) }),
        ("--iptables-min-sync-period", "1s", { $0.iptables.minSyncPeriod = GoDuration(.seconds(1)) }),
        ("--ipvs-sync-period", "1m", { $0.ipvs.syncPeriod = GoDuration(.seconds(60)) }),
        ("--ipvs-min-sync-period", "1s", { $0.ipvs.minSyncPeriod = GoDuration(.seconds(1)) }),
        ("--ipvs-scheduler", "lc", { $0.ipvs.scheduler = "lc" }),
        (
            "--ipvs-exclude-cidrs", "10.0.0.0/8,fd00::/8",
            { $0.ipvs.excludeCIDRs = ["10.0.0.0/8", "fd00::/8"] }
        ),
        ("--ipvs-tcp-timeout", "1s", { $0.ipvs.tcpTimeout = GoDuration(.seconds(1)) }),
        ("--ipvs-tcpfin-timeout", "2s", { $0.ipvs.tcpFinTimeout = GoDuration(.seconds(2)) }),
        ("--ipvs-udp-timeout", "3s", { $0.ipvs.udpTimeout = GoDuration(.seconds(3)) }),
    ]

    /// Each flag that may go without value.
    static let switches: [(flag: String, set: @Sendable (inout KubeProxyConfiguration, Bool) -> Void)] = [
        ("--masquerade-all", { $0.iptables.masqueradeAll = $1 }),
        ("--bind-address-hard-fail", { $0.bindAddressHardFail = $1 }),
        ("--profiling", { $0.enableProfiling = $1 }),
        ("--conntrack-tcp-be-liberal", { $0.conntrack.tcpBeLiberal = $1 }),
        ("--iptables-localhost-nodeports", { $0.iptables.localhostNodePorts = $1 }),
        ("--ipvs-strict-arp", { $0.ipvs.strictARP = $1 }),
    ]

    /// As the program parses its command line.
    private static func parse(_ arguments: [String]) throws -> KubeProxyOptions {
        try KubeProxyOptions.parse(CommandLineForms.normalized(arguments))
    }

    private func settings(_ arguments: String...) throws -> FlagSettings {
        try Self.parse(arguments).settings
    }

    /// What was refused, or nil.
    private func refusal(_ arguments: String...) -> String? {
        do {
            _ = try Self.parse(arguments)
            return nil
        } catch {
            return KubeProxyOptions.message(for: error)
        }
    }

    @Test("each flag sets its field, after = and as the next argument")
    func eachField() throws {
        for (flag, value, change) in Self.fields {
            var expected = KubeProxyConfiguration()
            change(&expected)
            for settings in [try settings("\(flag)=\(value)"), try settings(flag, value)] {
                #expect(settings.configuration == expected, "\(flag)")
                #expect(settings.given == [flag])
            }
        }
    }

    @Test("each switch goes alone, and with what Go takes for true and false")
    func eachSwitch() throws {
        for (flag, set) in Self.switches {
            var (on, off) = (KubeProxyConfiguration(), KubeProxyConfiguration())
            set(&on, true)
            set(&off, false)
            for form in [flag, "\(flag)=true", "\(flag)=1", "\(flag)=T"] {
                #expect(try settings(form).configuration == on, "\(form)")
            }
            for form in ["\(flag)=false", "\(flag)=0", "\(flag)=False"] {
                #expect(try settings(form).configuration == off, "\(form)")
            }
            #expect(try settings(flag, "--cluster-cidr", "10.0.0.0/8").given.contains(flag))
            #expect(refusal("\(flag)=maybe")?.contains("\(flag): \"maybe\" is not true or false") == true)
            #expect(refusal("\(flag)=", "--config=/x")?.contains(flag) == true)
        }
    }

    @Test("unknown flags are refused, with a file as without")
    func unknown() {
        #expect(refusal("--nosuch")?.contains("--nosuch") == true)
        #expect(refusal("--config=/x", "--nosuch=1")?.contains("--nosuch") == true)
        #expect(refusal("--cluster-cidrs=10.0.0.0/8")?.contains("--cluster-cidrs") == true)
    }

    @Test(
        "a wrong value is refused and names the flag",
        arguments: [
            ("--oom-score-adj", "x"), ("--oom-score-adj", "1001"), ("--conntrack-min", "-1"),
            ("--conntrack-min", "2147483648"), ("--conntrack-udp-timeout", "5"),
            ("--conntrack-udp-timeout", "-5s"), ("--cluster-cidr", "10.0.0.0"),
            ("--proxy-mode", "kernelspace"),
            ("--proxy-mode", "userspace"), ("--detect-local-mode", "Magic"), ("--nodeport-addresses", "eth0"),
            ("--nodeport-addresses", "primary,10.0.0.0/8"), ("--healthz-bind-address", "localhost:1"),
            ("--metrics-bind-address", "127.0.0.1:99999"), ("--bind-address", "node"),
            ("--iptables-masquerade-bit", "32"), ("--iptables-sync-period", "0"),
            ("--iptables-sync-period", "-1s"), ("--config-sync-period", "0s"), ("--kube-api-burst", "-1"),
            ("--cleanup", "maybe"), ("--init-only", "2"), ("--logtostderr", "x"),
            ("--log-text-split-stream", "x"),
            ("--v", "-1"), ("--feature-gates", "A=maybe"), ("--feature-gates", "A"), ("--v", "x"),
            ("--vmodule", "a"),
            ("--hostname-override", "  "), ("--log-format", "xml"), ("--healthz-port", "70000"),
        ])
    func wrong(flag: String, value: String) {
        let message = refusal("\(flag)=\(value)")
        #expect(message?.contains(flag) == true, "\(message ?? "taken")")
    }

    @Test("modes that go by an interface need its name, of 1 to 15 bytes")
    func interfaces() {
        for (mode, flag) in [
            ("BridgeInterface", "--pod-bridge-interface"),
            ("InterfaceNamePrefix", "--pod-interface-name-prefix"),
        ] {
            #expect(refusal("--detect-local-mode=\(mode)")?.contains("must not be empty") == true)
            for name in ["sixteen-bytes-xx", "a b", "a/b", "a*", "a\"b"] {
                #expect(refusal("--detect-local-mode=\(mode)", flag, name)?.contains(flag) == true, "\(name)")
            }
            #expect(refusal("--detect-local-mode=\(mode)", flag, "fifteen-bytes-x") == nil)
        }
    }

    @Test("lists may be given in several flags, and the last of several values counts")
    func repeated() throws {
        let settings = try settings(
            "--nodeport-addresses=10.0.0.0/8, 192.0.2.0/24", "--nodeport-addresses=fd00::/8",
            "--feature-gates=A=true", "--feature-gates=A=false,B=true", "--conntrack-min=1",
            "--conntrack-min=2")
        #expect(settings.configuration.nodePortAddresses == ["10.0.0.0/8", "192.0.2.0/24", "fd00::/8"])
        #expect(settings.configuration.featureGates == ["A": false, "B": true])
        #expect(settings.configuration.conntrack.min == 2)
    }

    @Test(
        "verbosity has all of klog's forms; alone it is 4",
        arguments: [
            (["-v=2"], 2), (["-v", "2"], 2), (["-v2"], 2), (["--v=2"], 2), (["--v", "2"], 2), (["-v"], 4),
            (["--verbose"], 4), (["-v", "--cluster-cidr=10.0.0.0/8"], 4), ([], nil),
        ])
    func verbosity(arguments: [String], level: Int?) throws {
        #expect(try Self.parse(arguments).settings.overrides.verbosity == level)
    }

    @Test("flags of old command lines are taken, each with one notice")
    func legacy() throws {
        let arguments = [
            "--add-dir-header", "--alsologtostderr", "--logtostderr=true", "--one-output", "--skip-headers",
            "--skip-log-headers", "--log-backtrace-at=:0", "--log-dir=/l", "--log-file=/f",
            "--log-file-max-size=1800", "--stderrthreshold=2", "--boot-id-file=/b", "--machine-id-file=/m",
            "--healthz-port=0", "--metrics-port=0", "--vmodule=a=3", "--log-flush-frequency=5s",
            "--log-text-split-stream", "--log-text-info-buffer-size=0", "--log-json-split-stream",
            "--log-json-info-buffer-size=0",
        ]
        let settings = try Self.parse(arguments).settings
        let names = arguments.map { String($0.prefix { $0 != "=" }) }
        #expect(settings.notices.map(\.setting).sorted() == names.sorted())
    }

    @Test("a server goes with port 0 or an empty address, and the old port flag fills in for a port only")
    func servers() throws {
        func agent(_ arguments: String...) throws -> AgentConfiguration {
            try AgentConfiguration(try Self.parse(arguments).settings)
        }
        #expect(try agent("--healthz-bind-address=").healthzAddress == nil)
        #expect(try agent("--metrics-bind-address", "").metricsAddress == nil)
        #expect(try agent("--healthz-port=0").healthzAddress == nil)
        #expect(try agent("--healthz-port=81").healthzAddress?.description == "0.0.0.0:81")
        #expect(
            try agent("--healthz-bind-address=192.0.2.1", "--healthz-port=81").healthzAddress?.description
                == "192.0.2.1:81")
        #expect(
            try agent("--healthz-bind-address=[::1]:80", "--healthz-port=81").healthzAddress?.description
                == "[::1]:80")
        #expect(try agent("--metrics-bind-address=::1").metricsAddress?.description == "[::1]:10249")
        #expect(try agent("--bind-address=::").healthzAddress?.description == "[::]:10256")
    }

    @Test("the periods and masquerade-all of flags are those of the mode")
    func modes() throws {
        let nftables = try settings(
            "--proxy-mode=nftables", "--masquerade-all", "--iptables-sync-period=1m",
            "--iptables-min-sync-period=5s")
        let agent = try AgentConfiguration(nftables)
        #expect(nftables.configuration.nftables.masqueradeAll)
        #expect(agent.syncPeriod == .seconds(60))
        #expect(agent.proxy.minSyncPeriod == .seconds(5))
        #expect(agent.proxy.masqueradeAll)
        let ipvs = try AgentConfiguration(
            settings("--proxy-mode=ipvs", "--iptables-sync-period=1m", "--ipvs-sync-period=2m"))
        #expect(ipvs.syncPeriod == .seconds(120))
    }

    @Test("what is done instead of serving: of several, the first counts")
    func actions() throws {
        func action(_ arguments: String...) throws -> KubeProxyOptions.Action? {
            try Self.parse(arguments).action
        }
        #expect(try action() == nil)
        #expect(try action("--cleanup=false", "--init-only=false") == nil)
        #expect(try action("--cleanup") == .cleanUp)
        #expect(try action("--init-only=true") == .initialize)
        #expect(
            try action("--init-only", "--cleanup", "--write-config-to", "/x")
                == .writeConfiguration(path: "/x"))
    }

    @Test(
        "underscores are dashes in the names of flags, and --version has kube-proxy's forms",
        arguments: [
            (["--hostname_override=a_b", "x_y"], ["--hostname-override=a_b", "x_y"]),
            (["--log_dir", "/a_b", "-f", "a_b"], ["--log-dir", "/a_b", "-f", "a_b"]),
            (["--version=true"], ["--version"]), (["--version=raw"], ["--version"]),
            (["--version=false"], []),
            (["--version=x"], ["--version=x"]), (["--cluster-cidr="], ["--cluster-cidr", ""]),
            (["--", "--a_b"], ["--", "--a_b"]),
        ])
    func forms(given: [String], normalized: [String]) {
        #expect(CommandLineForms.normalized(given) == normalized)
    }
}
