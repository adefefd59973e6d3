import IPAddressing
import KubernetesAPI
import Testing

@testable import ServiceModel

@Suite("The slices of a Service")
struct SliceListTests {
    private let service = ObjectName(namespace: "default", name: "web")

    private func slice(_ number: Int, port: UInt16 = 80) -> EndpointSlice {
        EndpointSlice(
            name: ObjectName(namespace: "default", name: "web-\(number)"), service: service, family: .ipv4,
            ports: [.init(port: port)])
    }

    /// Each number below 20 once, in no order.
    private let numbers = (0..<20).map { $0 * 7 % 20 }

    @Test("lie in the order of their names, whatever order they come in")
    func order() {
        var list = SliceList()
        for number in numbers { list.insert(slice(number)) }
        #expect(list.all.map(\.name) == list.all.map(\.name).sorted())
        #expect(list.all.count == numbers.count)
    }

    @Test("are found, replaced and removed by name")
    func names() {
        var list = SliceList()
        for number in numbers { list.insert(slice(number)) }
        for number in numbers { list.insert(slice(number, port: 81)) }
        for number in numbers {
            let name = slice(number).name
            #expect(list[name] == slice(number, port: 81))
            #expect(list.remove(name) == slice(number, port: 81))
            #expect(list[name] == nil)
            #expect(list.remove(name) == nil)
        }
        #expect(list.isEmpty)
    }
}
