import Glibc
import KubernetesAPI
import NFTablesKernel
import Testing

@testable import Agent

@Suite("The pace of commits")
struct CommitPacingTests {
    @Test("a commit is followed by a pause of nine times as long, up to 100 ms, or as long, up to a second")
    func pause() {
        var pacing = CommitPacing()
        #expect(pacing.succeeded(took: .milliseconds(2)) == .milliseconds(18))
        #expect(pacing.succeeded(took: .milliseconds(12)) == .milliseconds(100))
        #expect(pacing.succeeded(took: .milliseconds(90)) == .milliseconds(100))
        #expect(pacing.succeeded(took: .milliseconds(400)) == .milliseconds(400))
        #expect(pacing.succeeded(took: .seconds(4)) == .seconds(1))
        #expect(pacing.succeeded(took: .zero) == .zero)
    }

    @Test("under a storm a change waits for 250 ms at most, where it costs a tenth of a millisecond")
    func storm() {
        for cost in [20, 50, 100].map(Duration.microseconds) {
            var pacing = CommitPacing()
            // A thousand changes a second gather while a commit and its pause last.
            var period = Duration.milliseconds(1)
            for _ in 0..<100 {
                let commit = .milliseconds(2) + cost * (period / .milliseconds(1))
                period = commit + pacing.succeeded(took: commit)
            }
            #expect(period < .milliseconds(250), "\(cost): \(period)")
        }
    }

    @Test("minSyncPeriod is the least pause, however short the commit, and no longer one's end")
    func minimumPause() {
        var pacing = CommitPacing(minimumPause: .seconds(2))
        #expect(pacing.succeeded(took: .zero) == .seconds(2))
        #expect(pacing.succeeded(took: .seconds(60)) == .seconds(2))
        var short = CommitPacing(minimumPause: .milliseconds(50))
        #expect(short.succeeded(took: .milliseconds(2)) == .milliseconds(50))
        #expect(short.succeeded(took: .milliseconds(10)) == .milliseconds(90))
    }

    @Test("failures are tried again after 100 ms, then twice as long each time, up to 30 s")
    func backoff() {
        var pacing = CommitPacing()
        let waits = (0..<12).map { _ in pacing.failed(chance: 0) }
        let expected: [Duration] =
            [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600].map { .milliseconds($0) }
            + Array(repeating: .seconds(30), count: 3)
        #expect(waits == expected)
        for _ in 0..<1000 { #expect(pacing.failed(chance: 0) == .seconds(30)) }
    }

    @Test("chance shortens a wait by a quarter at most")
    func chance() {
        var pacing = CommitPacing()
        #expect(pacing.failed(chance: 1) == .milliseconds(75))
        #expect(pacing.failed(chance: 0.5) == .milliseconds(175))
    }

    @Test("a success forgets the failures before it")
    func reset() {
        var pacing = CommitPacing()
        for _ in 0..<5 { _ = pacing.failed(chance: 0) }
        _ = pacing.succeeded(took: .zero)
        #expect(pacing.failed(chance: 0) == .milliseconds(100))
    }
}

@Suite("The inbox of changes")
struct ChangeInboxTests {
    @Test("the last word on each object counts")
    func lastWord() throws {
        let inbox = ChangeInbox()
        inbox.put(upserted: [service("a", "10.96.0.1"), service("b", "10.96.0.2")])
        inbox.put(upserted: [service("a", "10.96.0.3")], removed: [.service(name("b"))])
        let changes = inbox.take()
        #expect(changes.objects.count == 2)
        #expect(changes.objects[.service(name("a"))] == .some(service("a", "10.96.0.3")))
        let b = try #require(changes.objects[.service(name("b"))])
        #expect(b == nil)
    }

    @Test("an object that is removed and put in at once is there")
    func replaced() {
        let inbox = ChangeInbox()
        inbox.put(upserted: [service("a", "10.96.0.1")], removed: [.service(name("a"))])
        #expect(inbox.take().objects[.service(name("a"))] == .some(service("a", "10.96.0.1")))
    }

    @Test("what was taken is gone")
    func taken() {
        let inbox = ChangeInbox()
        #expect(inbox.take().isEmpty)
        inbox.put(problems: [ObjectProblem(message: "one")])
        #expect(!inbox.take().isEmpty)
        #expect(inbox.take().isEmpty)
    }

    @Test("a storm takes no more room than the objects it is about")
    func storm() {
        let inbox = ChangeInbox()
        for index in 0..<20_000 {
            inbox.put(
                upserted: [service("a", "10.96.0.\(index % 200)")],
                problems: [ObjectProblem(message: "\(index)")])
        }
        let changes = inbox.take()
        #expect(changes.objects.count == 1)
        #expect(changes.problems.count == ChangeInbox.problemLimit)
    }

    @Test("many changes are one signal, and the signals end")
    func signals() async {
        let inbox = ChangeInbox()
        for _ in 0..<10 { inbox.put(upserted: [service("a", "10.96.0.1")]) }
        inbox.wake()
        inbox.finish()
        var count = 0
        for await _ in inbox.signals { count += 1 }
        #expect(count == 1)
    }
}

@Suite("The register of problems")
struct ProblemRegisterTests {
    private func problem(_ text: String) -> ObjectProblem { ObjectProblem(message: text) }

    @Test("each problem is told once when it comes and once when it goes")
    func once() {
        var register = ProblemRegister()
        var (new, over) = register.update(name("a"), [problem("2"), problem("1")])
        #expect(new.map(\.message) == ["1", "2"])
        #expect(over.isEmpty)
        (new, over) = register.update(name("a"), [problem("1"), problem("2"), problem("2")])
        #expect(new.isEmpty)
        #expect(over.isEmpty)
        #expect(register.count == 2)
        (new, over) = register.update(name("a"), [problem("3"), problem("2")])
        #expect(new.map(\.message) == ["3"])
        #expect(over.map(\.message) == ["1"])
        (new, over) = register.update(name("a"), [])
        #expect(over.map(\.message) == ["2", "3"])
        #expect(register.count == 0)
    }

    @Test("one Service's problems are not another's")
    func apart() {
        var register = ProblemRegister()
        _ = register.update(name("a"), [problem("1")])
        let (new, over) = register.update(name("b"), [problem("1")])
        #expect(new.map(\.message) == ["1"])
        #expect(over.isEmpty)
    }
}

@Suite("What must be there")
struct PreflightTests {
    @Test(
        "releases are read from what uname says",
        arguments: [
            ("6.1.0-18-amd64", KernelRelease(6, 1)), ("5.13", KernelRelease(5, 13)),
            ("6.18.0+", KernelRelease(6, 18)), ("5.15.0-1051-azure", KernelRelease(5, 15)),
        ])
    func releases(text: String, release: KernelRelease) {
        #expect(KernelRelease(text) == release)
    }

    @Test("what is no release is none", arguments: ["", "linux", "6", "v6.1", "6-", "-6.1"])
    func noRelease(text: String) {
        #expect(KernelRelease(text) == nil)
    }

    @Test("releases are ordered by number, not by text")
    func order() {
        #expect(KernelRelease(5, 9) < KernelRelease(5, 13))
        #expect(KernelRelease(5, 19) < KernelRelease(6, 1))
        #expect(KernelRelease(6, 3) >= KernelRelease(6, 3))
        #expect("\(KernelRelease(6, 18))" == "6.18")
    }

    @Test("an old kernel is refused before anything is touched")
    func old() {
        let error = #expect(throws: PreflightError.self) {
            try Preflight.connect(release: KernelRelease(5, 10))
        }
        #expect(error?.description == "Linux 5.10 is too old: Sluice needs 5.13 or later")
    }

    @Test("no right is told apart from no nf_tables")
    func reasons() {
        let denied = Preflight.explain(.read(object: "the ruleset's generation", errno: EPERM))
        #expect(
            denied.description.hasPrefix("no right to change nf_tables: run as root, or with CAP_NET_ADMIN"))
        #expect(denied.description.contains("EPERM"))
        for errno in [EPROTONOSUPPORT, EAFNOSUPPORT, EOPNOTSUPP] {
            let absent = Preflight.explain(.socket(call: "socket", errno: errno))
            #expect(absent.description.hasPrefix("this kernel has no nf_tables: it needs CONFIG_NF_TABLES"))
        }
        let other = Preflight.explain(.socket(call: "socket", errno: EMFILE))
        #expect(
            other.description == "nf_tables can't be reached (netlink socket: EMFILE (Too many open files))")
    }
}
