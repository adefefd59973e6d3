import Foundation
import KubernetesAPI
import Testing

@testable import KubernetesClient

private func event(_ name: String = "web", _ note: String = "no") -> RecordedEvent {
    RecordedEvent(
        regarding: .service(ObjectName(namespace: "default", name: name)), reason: "Bad", action: "Serve",
        note: note)
}

@Suite("Events")
struct EventSeriesTests {
    @Test("the same again is counted, and posted as a count at most every five minutes")
    func counts() {
        var series = EventSeries()
        series.record(event(), name: "web.1", now: .zero)
        #expect(series.next(now: .zero) == .create(event(), name: "web.1"))
        #expect(series.next(now: .zero) == nil)
        for second in 1...299 { series.record(event(), name: "x", now: .seconds(second)) }
        #expect(series.next(now: .seconds(299)) == nil)
        series.record(event(), name: "x", now: .seconds(300))
        series.record(event(), name: "x", now: .seconds(301))
        #expect(series.next(now: .seconds(302)) == .patch(event(), name: "web.1", count: 302))
        series.record(event("db"), name: "db.1", now: .seconds(303))
        series.record(event("web", "other"), name: "web.2", now: .seconds(303))
        #expect(series.next(now: .seconds(303)) == .create(event("db"), name: "db.1"))
        #expect(series.next(now: .seconds(303)) == .create(event("web", "other"), name: "web.2"))
    }

    @Test("after an hour of silence it is a new Event; one that is gone is made again")
    func again() {
        var series = EventSeries()
        series.record(event(), name: "web.1", now: .zero)
        _ = series.next(now: .zero)
        series.record(event(), name: "web.2", now: .seconds(3600))
        #expect(series.next(now: .seconds(3600)) == .create(event(), name: "web.2"))
        series.record(event(), name: "x", now: .seconds(4000))
        #expect(series.next(now: .seconds(4000)) == .patch(event(), name: "web.2", count: 2))
        series.recreate(event(), name: "web.3")
        #expect(series.next(now: .seconds(4001)) == .create(event(), name: "web.3"))
    }

    @Test("what waits and what is remembered is bounded")
    func bounds() {
        var series = EventSeries()
        for number in 0..<1500 { series.record(event("s\(number)"), name: "s", now: .zero) }
        #expect(series.dropped == 500)
        var posts = 0
        while series.next(now: .seconds(1)) != nil { posts += 1 }
        #expect(posts == 1000)
        for round in 0..<100 {
            for number in 0..<100 {
                series.record(event("t\(round).\(number)"), name: "t", now: .seconds(round))
            }
            while series.next(now: .seconds(round)) != nil {}
        }
        #expect(series.remembered <= EventSeries.memoryLimit)
    }

    @Test("a moment as the API takes it: six digits after the second")
    func microTime() {
        #expect(
            EventRecorder.microTime(Date(timeIntervalSince1970: 0.000_07)) == "1970-01-01T00:00:00.000070Z")
        #expect(
            EventRecorder.microTime(Date(timeIntervalSince1970: 1_700_000_000.5))
                == "2023-11-14T22:13:20.500000Z")
    }
}
