import PacketSimulator

// The module's name is a type's name too, so these can't be told by it from others of their name.
typealias SimulatedNode = Node
typealias SimulatedFate = Fate
