import Fuzzing
import KubernetesAPI
import KubernetesWire
import SeededRandom
import Testing
import WireBodies

@Suite("Random bytes", .timeLimit(Fuzzing.suiteLimit))
struct FuzzTests {
    private static func mutate(_ body: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = body
        for _ in 0..<random.number(1...5) {
            let at = random.number(0...bytes.count)
            switch random.number(0...5) {
            case 0: bytes.removeSubrange(at...)
            case 1 where at < bytes.count: bytes[at] ^= 1 << UInt8(random.number(0...7))
            case 2 where at < bytes.count: bytes[at] = UInt8.random(in: 0...255, using: &random)
            case 3: bytes.removeSubrange(at..<min(bytes.count, at + random.number(0...20)))
            case 4:
                let end = min(bytes.count, at + random.number(0...60))
                bytes.insert(contentsOf: bytes[at..<end], at: random.number(0...bytes.count))
            default:
                // Lengths and numbers that are too large by far.
                bytes.insert(
                    contentsOf: [UInt8](repeating: 0xff, count: random.number(1...11)), at: at)
            }
        }
        return bytes
    }

    @Test(
        "damaged bodies give an error, or objects and plain one-line problems",
        arguments: ResourceKind.allCases, BodyEncoding.allCases)
    func damaged(kind: ResourceKind, encoding: BodyEncoding) async {
        let list = Fixture.list(kind).body(encoding)
        let object = Fixture.object(kind)
        let watch = [
            WireEvent("ADDED", object), .bookmark(object.apiVersion, object.kind, resourceVersion: "1"),
            WireEvent("ERROR", .status(code: 410, reason: "Expired", message: "gone")),
        ].flatMap { $0.body(encoding) }
        var errorCount = 0
        var objectCount = 0
        func check(_ object: DecodedObject) {
            objectCount += 1
            for problem in object.problems {
                #expect(
                    problem.description.unicodeScalars.allSatisfy { (" "..."~").contains($0) || $0 == "…" },
                    "\(problem)")
            }
            #expect(object.content != .refused || !object.problems.isEmpty)
        }
        await Fuzzing.run("\(encoding) bodies of \(kind)", inputs: 1500) { random in
            let before = objectCount
            let limit = random.number(1...2000)
            do throws(WireError) {
                let bytes = Self.mutate(list, &random)
                for object in try decodeList(kind, encoding, bytes, chunk: { limit }).objects {
                    check(object)
                }
            } catch {
                errorCount += 1
                #expect(!error.description.contains("\n"))
            }
            do throws(WireError) {
                let bytes = Self.mutate(watch, &random)
                for event in try decodeWatch(kind, encoding, bytes, chunk: { limit }).events {
                    switch event {
                    case .upserted(let object), .deleted(let object): check(object)
                    case .bookmark, .error, .unknown: break
                    }
                }
            } catch {
                errorCount += 1
            }
            let status = Self.mutate(
                WireObject.status(code: 410, reason: "Expired", message: "gone").body(encoding), &random)
            _ = try? status.withBytes { bytes throws(WireError) in
                try StatusError(decoding: bytes, encoding)
            }
            return objectCount > before
        }
        #expect(errorCount > 0 && objectCount > 0)
    }

    @Test("damaged bodies give the same in chunks of any size", arguments: BodyEncoding.allCases)
    func chunks(encoding: BodyEncoding) async {
        let list = Fixture.list(.endpointSlices).body(encoding)
        await Fuzzing.run("\(encoding) bodies in chunks", inputs: 500) { random in
            let bytes = Self.mutate(list, &random)
            let whole = Result { () throws(WireError) in try decodeList(.endpointSlices, encoding, bytes) }
            let parts = Result { () throws(WireError) in
                try decodeList(.endpointSlices, encoding, bytes) { random.number(1...50) }
            }
            #expect(whole == parts)
            return (try? whole.get()) != nil
        }
    }

    @Test("noise is an error", arguments: BodyEncoding.allCases)
    func noise(encoding: BodyEncoding) async {
        await Fuzzing.run("\(encoding) noise", inputs: 2000) { random in
            let bytes = random.bytes(0...300)
            #expect(throws: WireError.self) { try decodeList(.services, encoding, bytes) }
            return false
        }
    }
}
