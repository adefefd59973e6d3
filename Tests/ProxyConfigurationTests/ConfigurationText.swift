import Deployment
import ProxyConfiguration

/// Configuration files for tests.
enum ConfigurationText {
    static let header = """
        apiVersion: kubeproxy.config.k8s.io/v1alpha1
        kind: KubeProxyConfiguration

        """

    /// What kubeadm v1.36 writes into the ConfigMap kube-proxy, for a cluster with pods in 10.244.0.0/16.
    static let kubeadm = KubeadmConfigMap.configuration(clusterCIDR: "10.244.0.0/16") + "\n"

    /// Every field, none with its zero value.
    static let full = """
        apiVersion: kubeproxy.config.k8s.io/v1alpha1
        kind: KubeProxyConfiguration
        featureGates:
          ContextualLogging: true
          TopologyAwareHints: false
        clientConnection:
          kubeconfig: /etc/kubeconfig
          acceptContentTypes: application/json
          contentType: application/json
          qps: 12.5
          burst: 40
        logging:
          format: text
          flushFrequency: 2s
          verbosity: 3
          vmodule:
            - filePattern: proxier*
              verbosity: 6
          options:
            text: {splitStream: true, infoBufferSize: 64Ki}
            json: {splitStream: true, infoBufferSize: 1k}
        hostnameOverride: Node-7
        bindAddress: 2001:db8::7
        healthzBindAddress: "[2001:db8::7]:10300"
        metricsBindAddress: 2001:db8::7
        bindAddressHardFail: true
        enableProfiling: true
        showHiddenMetricsForVersion: "1.35"
        mode: nftables
        iptables: {masqueradeBit: 15, masqueradeAll: true, localhostNodePorts: true, syncPeriod: 1m0s, minSyncPeriod: 2s}
        ipvs:
          syncPeriod: 40s
          minSyncPeriod: 3s
          scheduler: wlc
          excludeCIDRs: [10.20.30.40/16, "fd00:1::0/64"]
          strictARP: true
          tcpTimeout: 15m0s
          tcpFinTimeout: 2m0s
          udpTimeout: 5m0s
        nftables: {masqueradeBit: 31, masqueradeAll: true, syncPeriod: 1h0m0s, minSyncPeriod: 250ms}
        winkernel:
          networkName: net
          sourceVip: 192.0.2.9
          enableDSR: true
          rootHnsEndpointName: root
          forwardHealthCheckVip: true
        detectLocalMode: InterfaceNamePrefix
        detectLocal: {bridgeInterface: cbr0, interfaceNamePrefix: veth}
        clusterCIDR: 10.244.0.0/16,fd00:244::/56
        nodePortAddresses: [192.0.2.0/24]
        oomScoreAdj: -500
        conntrack:
          maxPerCore: 1024
          min: 2048
          tcpEstablishedTimeout: 2h0m0s
          tcpCloseWaitTimeout: 30s
          tcpBeLiberal: true
          udpTimeout: 20s
          udpStreamTimeout: 3m0s
        configSyncPeriod: 10m0s
        portRange: 300-2000
        windowsRunAsService: true

        """

    static func parsed(_ text: String) throws -> KubeProxyConfiguration {
        try KubeProxyConfiguration.parse(text, file: "config.conf")
    }

    /// What is wrong, one line for each.
    static func problems(in text: String) -> [String] {
        do throws(ConfigurationError) {
            _ = try KubeProxyConfiguration.parse(text, file: "config.conf")
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }
}
