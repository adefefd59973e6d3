import Testing

@testable import NodeChecks

@Suite("How checks are printed")
struct ReportTests {
    private let report = NodeReport([
        .ok("kernel", "Linux 6.12"),
        .note("a longer name", "found \"it\"", advice: "Nothing."),
        .warning(
            "table", (1...30).map { "word\($0)" }.joined(separator: " "),
            advice: (1...30).map { "do\($0)" }.joined(separator: " ") + "."),
    ])

    @Test("for people, a table whose columns are aligned and whose lines are short")
    func table() {
        #expect(
            report.text == """
                kernel         ok       Linux 6.12
                a longer name  note     found "it"
                                        > Nothing.
                table          warning  word1 word2 word3 word4 word5 word6 word7 word8 word9 word10 word11 word12 word13
                                        word14 word15 word16 word17 word18 word19 word20 word21 word22 word23 word24 word25
                                        word26 word27 word28 word29 word30
                                        > do1 do2 do3 do4 do5 do6 do7 do8 do9 do10 do11 do12 do13 do14 do15 do16 do17 do18
                                          do19 do20 do21 do22 do23 do24 do25 do26 do27 do28 do29 do30.

                ready: 1 warning, 1 note

                """)
        #expect(report.text.split(separator: "\n").allSatisfy { $0.count <= 110 })
    }

    @Test("a word that is longer than a line stays whole")
    func longWord() {
        let word = String(repeating: "x", count: 200)
        #expect(NodeReport([.ok("name", word)]).text == "name  ok       \(word)\n\nready\n")
    }

    @Test("for programs, one object")
    func json() throws {
        #expect(
            try NodeReport(
                Array(report.checks.prefix(2)) + [.failure("rights", "none/at all", advice: "Be root.")]
            )
            .json() == """
                {
                  "checks" : [
                    {
                      "check" : "kernel",
                      "found" : "Linux 6.12",
                      "state" : "ok"
                    },
                    {
                      "advice" : "Nothing.",
                      "check" : "a longer name",
                      "found" : "found \\"it\\"",
                      "state" : "note"
                    },
                    {
                      "advice" : "Be root.",
                      "check" : "rights",
                      "found" : "none/at all",
                      "state" : "failure"
                    }
                  ],
                  "ready" : false
                }
                """)
    }

    @Test("a failure, and nothing less, means not ready")
    func ready() {
        #expect(report.isReady)
        let failed = NodeReport(
            report.checks + [.failure("a", "b", advice: "c."), .failure("d", "e", advice: "f.")])
        #expect(!failed.isReady)
        #expect(failed.text.hasSuffix("\nnot ready: 2 failures, 1 warning, 1 note\n"))
        #expect(NodeReport([.ok("kernel", "Linux 6.12")]).text.hasSuffix("\n\nready\n"))
    }
}
