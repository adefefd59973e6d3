import PacketSimulator

// The module's name is a type's name too, so this can't be told by it from the Node of Kubernetes.
typealias SimulatedNode = Node
