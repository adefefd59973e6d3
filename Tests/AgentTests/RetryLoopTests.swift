import Synchronization
import Testing

@testable import Agent

@Suite("What is tried again", .timeLimit(.minutes(1)))
struct RetryLoopTests {
    /// The pauses that were asked for.
    private final class Pauses: Sendable {
        private let list = Mutex<[Duration]>([])
        func append(_ pause: Duration) { list.withLock { $0.append(pause) } }
        var all: [Duration] { list.withLock { $0 } }
    }

    private let pauses = Pauses()

    /// A loop for which every pause is over at once.
    private func makeLoop() -> RetryLoop<Int> {
        RetryLoop { [pauses] in pauses.append($0) }
    }

    /// A loop for which no pause ends by itself; `began` yields as one begins.
    private func makeWaitingLoop() -> (loop: RetryLoop<Int>, began: AsyncStream<Void>) {
        let (began, continuation) = AsyncStream.makeStream(of: Void.self)
        let loop = RetryLoop<Int> { [pauses] pause in
            pauses.append(pause)
            continuation.yield()
            try await Task.sleep(for: .seconds(86_400))
        }
        return (loop, began)
    }

    @Test("a failure is tried again after a second, then twice as long each time, a minute at most")
    func backoff() async {
        let loop = makeLoop()
        loop.put(7)
        var attempts: [Int] = []
        await loop.run { value in
            attempts.append(value)
            if attempts.count == 9 { loop.finish() }
            return attempts.count == 9
        }
        #expect(attempts == Array(repeating: 7, count: 9))
        #expect(pauses.all == [1, 2, 4, 8, 16, 32, 60, 60].map { .seconds($0) })
    }

    @Test("what went through is not done again")
    func success() async {
        let loop = makeLoop()
        var attempts: [Int] = []
        loop.put(1)
        loop.finish()
        await loop.run { value in
            attempts.append(value)
            return true
        }
        #expect(attempts == [1])
        #expect(pauses.all.isEmpty)
    }

    @Test("a newer value ends the waiting, and its own failures count from the first")
    func newer() async {
        let (loop, began) = makeWaitingLoop()
        loop.put(1)
        let putting = Task {
            var iterator = began.makeAsyncIterator()
            for value in 2...3 {
                await iterator.next()
                loop.put(value)
            }
        }
        var attempts: [Int] = []
        await loop.run { value in
            attempts.append(value)
            if value == 3 { loop.finish() }
            return value == 3
        }
        await putting.value
        #expect(attempts == [1, 2, 3])
        #expect(pauses.all == [.seconds(1), .seconds(1)])
    }

    @Test("of the values that come while one is worked on, the newest is carried out, the others never")
    func newest() async {
        let loop = makeLoop()
        loop.put(1)
        var attempts: [Int] = []
        await loop.run { value in
            attempts.append(value)
            if value == 1 { for next in 2...50 { loop.put(next) } } else { loop.finish() }
            // The first one fails, and nobody asks for it any more.
            return value != 1
        }
        #expect(attempts == [1, 50])
    }

    @Test("values that were not carried out are merged into their successor, those that were are not")
    func merging() async {
        let loop = RetryLoop<[Int]>(sleep: { _ in }, merge: { $0 + $1 })
        loop.put([1])
        var attempts: [[Int]] = []
        await loop.run { value in
            attempts.append(value)
            switch attempts.count {
            case 1:
                loop.put([2])
                loop.put([3])
                return false
            case 2:
                loop.put([4])
                return true
            default:
                loop.finish()
                return true
            }
        }
        #expect(attempts == [[1], [1, 2, 3], [4]])
    }

    @Test("once nothing more can come, what fails is given up after eight attempts")
    func finished() async {
        let loop = makeLoop()
        loop.put(1)
        loop.finish()
        var attempts = 0
        await loop.run { _ in
            attempts += 1
            return false
        }
        #expect(attempts == 8)
    }

    @Test("a task that is cancelled ends it while it waits")
    func cancelled() async {
        let (loop, began) = makeWaitingLoop()
        loop.put(1)
        let work = Task { await loop.run { _ in false } }
        var iterator = began.makeAsyncIterator()
        await iterator.next()
        work.cancel()
        await work.value
        #expect(pauses.all == [.seconds(1)])
    }
}
