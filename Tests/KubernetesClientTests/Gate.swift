/// Lets so many through at once; the others wait in line.
actor Gate {
    private var free: Int
    private var line: [CheckedContinuation<Void, Never>] = []

    init(_ places: Int) { free = places }

    func enter() async {
        guard free == 0 else {
            free -= 1
            return
        }
        await withCheckedContinuation { line.append($0) }
    }

    func leave() {
        guard line.isEmpty else { return line.removeFirst().resume() }
        free += 1
    }
}
