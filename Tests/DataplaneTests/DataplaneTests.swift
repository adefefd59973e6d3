import TestNetwork
import Testing

/// The fate of packets in the kernel: connections through the rules that the product's own parts make.
///
/// One at a time: each test has a network of its own and opens many connections.
@Suite(.enabled(if: KernelTests.areAvailable, Comment(rawValue: KernelTests.need)), .serialized)
enum DataplaneTests {}
