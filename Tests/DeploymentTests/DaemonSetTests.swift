import Deployment
import Foundation
import Testing

@Suite("The DaemonSet and its rights")
struct DaemonSetTests {
    private let daemonSet: YAMLValue
    private let pod: YAMLValue
    private let container: YAMLValue

    init() throws {
        let objects = try Deployment.objects("base/daemonset.yaml")
        daemonSet = try #require(objects.first)
        try #require(objects.count == 1 && daemonSet["kind"] == "DaemonSet")
        pod = Deployment.podSpec(objects)
        container = try Deployment.container()
    }

    @Test("the container has NET_ADMIN, a read-only root, and nothing else")
    func rights() {
        #expect(
            container["securityContext"] == [
                "runAsUser": 0, "runAsGroup": 0,
                "capabilities": ["drop": ["ALL"], "add": ["NET_ADMIN"]],
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            ])
        #expect(pod["securityContext"] == ["seccompProfile": ["type": "RuntimeDefault"]])
        #expect(pod["containers"].list.count == 1)
        #expect(pod["initContainers"] == .null)
        for field in ["hostPID", "hostIPC", "shareProcessNamespace"] {
            #expect(pod[field] == .null, "\(field)")
        }
    }

    @Test("it sees of the node its network and no file")
    func nodeAccess() {
        #expect(pod["hostNetwork"] == true)
        #expect(pod["volumes"] == [["name": "config", "configMap": ["name": "sluice"]]])
        #expect(
            container["volumeMounts"] == [
                ["name": "config", "mountPath": "/var/lib/kube-proxy", "readOnly": true]
            ])
    }

    @Test("it runs on every Linux node that isn't left to kube-proxy, and is replaced a tenth at a time")
    func placement() {
        #expect(pod["nodeSelector"] == ["kubernetes.io/os": "linux"])
        #expect(pod["tolerations"] == [["operator": "Exists"]])
        #expect(pod["priorityClassName"] == "system-node-critical")
        let terms = pod[
            "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"]
        #expect(
            terms == [
                [
                    "matchExpressions": [
                        ["key": "service-proxy", "operator": "NotIn", "values": ["kube-proxy"]]
                    ]
                ]
            ])
        #expect(
            daemonSet["spec", "updateStrategy"] == [
                "type": "RollingUpdate", "rollingUpdate": ["maxUnavailable": "10%"],
            ])
        #expect(
            daemonSet["spec", "selector", "matchLabels"]
                == daemonSet["spec", "template", "metadata", "labels"])
    }

    @Test("its flags are those that kubeadm gives kube-proxy")
    func flags() {
        #expect(
            container["args"] == [
                "run", "--config=/var/lib/kube-proxy/config.conf", "--hostname-override=$(NODE_NAME)",
            ])
        #expect(
            container["env"] == [
                ["name": "NODE_NAME", "valueFrom": ["fieldRef": ["fieldPath": "spec.nodeName"]]]
            ])
        #expect(container["command"] == .null)
    }

    @Test(
        "its probes ask the health server where kube-proxy's configuration has it by default",
        arguments: [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")])
    func probes(probe: String, path: String) {
        #expect(container[probe, "httpGet"] == ["path": .string(path), "port": 10256])
    }

    @Test(
        "no field is there that this test doesn't know: a misspelt one would be refused by the API, or passed over"
    )
    func fieldNames() {
        #expect(daemonSet["spec"].fieldNames == ["selector", "template", "updateStrategy"])
        #expect(
            pod.fieldNames == [
                "affinity", "containers", "dnsPolicy", "enableServiceLinks", "hostNetwork", "nodeSelector",
                "priorityClassName", "securityContext", "serviceAccountName", "terminationGracePeriodSeconds",
                "tolerations", "volumes",
            ])
        #expect(
            container.fieldNames == [
                "args", "env", "image", "imagePullPolicy", "livenessProbe", "name", "readinessProbe",
                "resources", "securityContext", "startupProbe", "volumeMounts",
            ])
        let known: Set = ["failureThreshold", "httpGet", "periodSeconds", "timeoutSeconds"]
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            #expect(known.isSuperset(of: container[probe].fieldNames))
        }
    }

    @Test("the role lets it read what a proxy reads, tell events, and no more")
    func role() throws {
        let objects = try Deployment.objects("base/rbac.yaml")
        #expect(objects.map { $0["kind"] } == ["ServiceAccount", "ClusterRole", "ClusterRoleBinding"])
        #expect(
            objects[1]["rules"] == [
                ["apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]],
                [
                    "apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"],
                    "verbs": ["list", "watch"],
                ],
                ["apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]],
                [
                    "apiGroups": ["networking.k8s.io"], "resources": ["servicecidrs"],
                    "verbs": ["list", "watch"],
                ],
                [
                    "apiGroups": ["", "events.k8s.io"], "resources": ["events"],
                    "verbs": ["create", "patch", "update"],
                ],
            ])
        let name = try #require(objects[0]["metadata", "name"].text)
        #expect(
            objects[2]["subjects"] == [
                ["kind": "ServiceAccount", "name": .string(name), "namespace": "kube-system"]
            ])
        #expect(objects[2]["roleRef", "name"] == objects[1]["metadata", "name"])
        #expect(pod["serviceAccountName"] == .string(name))
    }

    @Test("the unit of systemd has the rights of the DaemonSet's container and its configuration")
    func unit() throws {
        let lines = try Deployment.text("sluice.service").split(separator: "\n").map(String.init)
        func values(_ key: String) -> [String] {
            lines.filter { $0.hasPrefix("\(key)=") }.map { String($0.dropFirst(key.count + 1)) }
        }
        let capabilities = container["securityContext", "capabilities", "add"].texts
        #expect(values("CapabilityBoundingSet") == [capabilities.map { "CAP_\($0)" }.joined(separator: " ")])
        #expect(values("NoNewPrivileges") == ["yes"])
        #expect(values("ProtectSystem") == ["strict"])
        #expect(values("Type") == ["notify"])
        #expect(values("Restart") == ["always"])
        let arguments = container["args"].texts.prefix(2).joined(separator: " ")
        #expect(values("ExecStart") == ["/usr/local/bin/sluice \(arguments) $SLUICE_FLAGS"])
    }
}
