/// How the API server is reached: `clientConnection` of `KubeProxyConfiguration`, and kube-proxy's `--master`.
public struct ClientConnection: Sendable, Equatable {
    /// Path of a kubeconfig file. Empty, and `master` empty too: the service account of the pod this runs in
    /// (`KUBERNETES_SERVICE_HOST`, `KUBERNETES_SERVICE_PORT`, `/var/run/secrets/kubernetes.io/serviceaccount`).
    public var kubeconfig: String
    /// The API server's URL, or `host:port`; wins over what the kubeconfig file says.
    public var master: String
    /// The media type asked for first; empty: protobuf.
    public var contentType: String
    /// The header `Accept` as it is sent; empty: `contentType`, then JSON.
    public var acceptContentTypes: String
    /// Requests a second, over all kinds; 0 stands for 5, below 0 for no limit, as in client-go.
    public var qps: Double
    /// Requests that may go at once before `qps` holds; 0 stands for 10.
    public var burst: Int

    public init(
        kubeconfig: String = "", master: String = "", contentType: String = "",
        acceptContentTypes: String = "", qps: Double = 5, burst: Int = 10
    ) {
        self.kubeconfig = kubeconfig
        self.master = master
        self.contentType = contentType
        self.acceptContentTypes = acceptContentTypes
        self.qps = qps
        self.burst = burst
    }
}
