import ArgumentParser
import Documents
import Foundation
import Fuzzing
import Glibc
import IPAddressing
import KubeProxyFlags
import ProxyConfiguration
import SeededRandom
import Testing

/// Single values and command lines.
@Suite("Damaged values", .timeLimit(Fuzzing.suiteLimit))
struct ValueFuzzTests {
    private static let addresses = [
        "10.0.0.1", "010.000.0.001", "255.255.255.255", "0.0.0.0", "::", "::1", "fd00:1:2:3:4:5:6:7",
        "2001:db8::1",
        "::ffff:192.0.2.1", "64:ff9b::192.0.2.1", "fe80::1%eth0", "1.2.3", "1.2.3.4.5", "1e3.2.3.4", "",
    ]

    @Test("an address that is read is written as the system's own parser reads it")
    func addresses() async {
        let (_, accepted) = await Fuzzing.run("addresses", inputs: 20_000) { random in
            let bytes = random.mutated(
                Array(random.pick(Self.addresses).utf8), most: 3, pieces: [".", ":", "::", "0", "/"])
            let text = String(decoding: bytes, as: UTF8.self)
            let strict = IPAddress(text)
            let lenient = IPAddress(lenient: text)
            #expect(strict == nil || strict == lenient, "\(text.debugDescription)")
            guard let address = lenient else { return false }
            // Its own text is strict, and the same address.
            #expect(IPAddress("\(address)") == address, "\(text.debugDescription)")
            #expect(IPAddress(bytes: address.bytes) == address)
            if let strict {
                var v4 = in_addr()
                var v6 = in6_addr()
                #expect(
                    inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1,
                    "\(text.debugDescription) as \(strict)")
            }
            return true
        }
        #expect(accepted > 0)
    }

    @Test("a network that is read holds its own ends, and reads back")
    func networks() async {
        let seeds = Self.addresses.flatMap { ["\($0)/0", "\($0)/24", "\($0)/032", "\($0)/128", "\($0)"] }
        let (_, accepted) = await Fuzzing.run("networks", inputs: 20_000) { random in
            let bytes = random.mutated(
                Array(random.pick(seeds).utf8), most: 3, pieces: ["/", "/0", "99", "-", "+"])
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(
                IPNetwork(text) == nil || IPNetwork(text) == IPNetwork(lenient: text),
                "\(text.debugDescription)")
            guard let network = IPNetwork(lenient: text) else { return false }
            #expect(IPNetwork("\(network)") == network, "\(text.debugDescription)")
            #expect(network.contains(network.address) && network.contains(network.lastAddress))
            return true
        }
        #expect(accepted > 0)
    }

    @Test("an address with a port reads back")
    func addressPorts() async {
        let seeds = ["192.0.2.1:80", "[2001:db8::1]:65535", "[::]:1", "0.0.0.0:0", ":80", "[::1", "a:1"]
        let (_, accepted) = await Fuzzing.run("addresses with ports", inputs: 20_000) { random in
            let bytes = random.mutated(
                Array(random.pick(seeds).utf8), most: 3, pieces: [":", "[", "]", "65536"])
            guard let value = AddressPort(String(decoding: bytes, as: UTF8.self)) else { return false }
            #expect(AddressPort("\(value)") == value)
            return true
        }
        #expect(accepted > 0)
    }

    @Test("a Go duration that is read reads back as the same")
    func durations() async {
        let seeds = [
            "1h30m", "1.5s", "-250ms", "+3us", "2\u{b5}s", "9223372036854775807ns",
            "2562047h47m16.854775807s", "0",
        ]
        let pieces = [
            "h", "m", "s", "ms", "\u{3bc}s", ".", "-", "9999999999999999999", "0.00000000000000000000001h",
        ]
        let (_, accepted) = await Fuzzing.run("durations", inputs: 20_000) { random in
            let text = String(
                decoding: random.mutated(Array(random.pick(seeds).utf8), most: 4, pieces: pieces),
                as: UTF8.self)
            guard let value = GoDuration(text) else { return false }
            #expect(GoDuration(value.description) == value, "\(text.debugDescription): \(value)")
            return true
        }
        #expect(accepted > 0)
    }

    @Test("a plain scalar that is a number, true or null is one JSON token")
    func scalars() async {
        let seeds = [
            "0", "-1", "0x1f", "0o17", "0b1", "017", "1e3", "1.5", ".5", "5.", "null", "yes", "1_000",
            "+.5e-3",
        ]
        let (_, accepted) = await Fuzzing.run("plain scalars", inputs: 20_000) { random in
            let bytes = random.mutated(
                Array(random.pick(seeds).utf8), most: 3, pieces: ["e", "-", "+", ".", "0x", "0"])
            guard let token = PlainScalar.json(String(decoding: bytes, as: UTF8.self)) else { return false }
            let value = try? JSONSerialization.jsonObject(with: Data("[\(token)]".utf8)) as? [Any]
            #expect(value?.count == 1, "\(String(decoding: bytes, as: UTF8.self).debugDescription): \(token)")
            return true
        }
        #expect(accepted > 0)
    }

    // MARK: Flags

    private static let flags = [
        "--config", "--kubeconfig", "--master", "--hostname-override", "--cluster-cidr",
        "--detect-local-mode",
        "--pod-bridge-interface", "--pod-interface-name-prefix", "--masquerade-all", "--nodeport-addresses",
        "--healthz-bind-address", "--healthz-port", "--metrics-bind-address", "--metrics-port",
        "--bind-address",
        "--bind-address-hard-fail", "--conntrack-max-per-core", "--conntrack-min",
        "--conntrack-tcp-timeout-established", "--conntrack-udp-timeout", "--kube-api-qps",
        "--kube-api-burst",
        "--oom-score-adj", "--feature-gates", "--proxy-mode", "--cleanup", "--init-only", "--write-config-to",
        "-v",
        "--v", "--vmodule", "--log-format", "--iptables-sync-period", "--iptables-masquerade-bit",
        "--ipvs-scheduler", "--ipvs-exclude-cidrs", "--config-sync-period", "--profiling", "--", "-",
        "--unknown",
    ]
    private static let values = [
        "", "true", "false", "maybe", "0", "-1", "1", "99999999999999999999", "1.5", "nan", "inf", "-inf",
        "1h", "-1s",
        "10.0.0.0/8", "10.0.0.0/8,fd00::/64", "primary", "0.0.0.0:10256", "[::]:1", "node-1", "NodeCIDR",
        "a=true,b=x",
        "=", ",", ",,", "\u{0}", "é", "\n", "/", "--", String(repeating: "x", count: 5000),
    ]

    /// The parser checks all flags anew for each: few at a time.
    @Test("any command line is taken or refused")
    func commandLines() async {
        let (_, accepted) = await Fuzzing.run("command lines", inputs: 15) { random in
            let arguments = (0..<random.number(0...8)).flatMap { _ -> [String] in
                let flag = random.pick(Self.flags)
                let value = random.pick(Self.values)
                switch random.number(0...3) {
                case 0: return [flag]
                case 1: return [flag, value]
                case 2: return ["\(flag)=\(value)"]
                default:
                    let bytes = random.mutated(Array("\(flag)=\(value)".utf8), most: 3)
                    return [String(decoding: bytes, as: UTF8.self)]
                }
            }
            do {
                let options = try KubeProxyOptions.parse(CommandLineForms.normalized(arguments))
                guard options.config == nil else { return true }
                _ = try options.load().0.effective.yaml()
                return true
            } catch {
                return false
            }
        }
        #expect(accepted > 0)
    }
}
