import Documents
import KubernetesAPI

/// A manifest file among those that are followed; ordered as given, a directory's files by name.
struct FileID: Hashable, Comparable, Sendable {
    /// Index of the path, as given, that this file is or that it lies in.
    var root: Int
    var path: String

    static func < (a: Self, b: Self) -> Bool { (a.root, a.path) < (b.root, b.path) }
}

/// What was found out about a file.
enum FileChange: Sendable {
    case parsed(ParsedManifest)
    /// It is there but can't be read.
    case unreadable(ObjectProblem)
    case gone
}

/// What all files together say, and what of it has been passed on. Pure: it does no I/O.
struct ManifestState: Sendable {
    /// What is in force of each file: its last good contents.
    private var files: [FileID: ParsedManifest] = [:]
    private var fileProblems: [FileID: [ObjectProblem]] = [:]
    private var delivered: [ClusterObject.Key: ClusterObject] = [:]
    private var reported: Set<ObjectProblem> = []
    private var watchProblems: [ObjectProblem] = []

    /// Notes the directories whose changes can't be followed; true when that is news.
    mutating func note(unwatched failures: [(path: String, reason: String)]) -> Bool {
        let problems = failures.map { path, reason in
            ObjectProblem(
                source: Text.isPlain(path, limit: 4096) ? path : Text.quoted(path),
                message: "changes cannot be followed: \(reason)")
        }
        defer { watchProblems = problems }
        return problems != watchProblems
    }

    mutating func apply(_ change: FileChange, to file: FileID) {
        switch change {
        case .gone:
            files[file] = nil
            fileProblems[file] = nil
        case .unreadable(var problem):
            if files[file] != nil { problem.message += "; what it said before stays in force" }
            fileProblems[file] = [problem]
        case .parsed(let new):
            guard let old = files[file] else {
                files[file] = new
                fileProblems[file] = new.problems
                return
            }
            var merged = new
            if new.isComplete {
                merged.keepLastGood(of: old)
            } else {
                merged.entries = old.entries
                merged.skipped = old.skipped
                for index in merged.problems.indices where merged.problems[index].subject == nil {
                    merged.problems[index].message += "; what the file said before stays in force"
                }
            }
            files[file] = merged
            fileProblems[file] = merged.problems
        }
    }

    /// The files that are known, in force or with a problem.
    var known: Set<FileID> { Set(files.keys).union(fileProblems.keys) }

    /// All that is in force, which counts as passed on from now.
    mutating func snapshot() -> ManifestSource.Snapshot {
        let merged = merge()
        delivered = merged.byKey
        reported = Set(merged.problems)
        return ManifestSource.Snapshot(
            objects: merged.objects, problems: merged.problems, skipped: merged.skipped)
    }

    /// What has changed since the last snapshot or difference; nil when nothing has.
    ///
    /// However many changes came in between, there is one difference: so a slow reader costs no memory.
    mutating func difference() -> ManifestSource.Update? {
        let merged = merge()
        let removed = delivered.keys.filter { merged.byKey[$0] == nil }
            .sorted { $0.description < $1.description }
        let upserted = merged.objects.filter { delivered[$0.key] != $0 }
        let problems = merged.problems.filter { !reported.contains($0) }
        delivered = merged.byKey
        reported = Set(merged.problems)
        if removed.isEmpty && upserted.isEmpty && problems.isEmpty { return nil }
        return ManifestSource.Update(upserted: upserted, removed: removed, problems: problems)
    }

    private struct Merged {
        var objects: [ClusterObject] = []
        var byKey: [ClusterObject.Key: ClusterObject] = [:]
        var problems: [ObjectProblem] = []
        var skipped: [String: Int] = [:]
    }

    private func merge() -> Merged {
        var merged = Merged()
        var firsts: [ObjectProblem.Subject: (source: String, line: Int?)] = [:]
        var sliced: Set<ObjectName> = []
        var endpoints: [ParsedManifest.Entry] = []
        for id in known.sorted() {
            merged.problems += fileProblems[id, default: []]
            guard let file = files[id] else { continue }
            merged.skipped.merge(file.skipped, uniquingKeysWith: +)
            for entry in file.entries {
                if let first = firsts[entry.subject] {
                    let place = first.line.map { "\(first.source):\($0)" } ?? first.source
                    merged.problems.append(
                        ObjectProblem(
                            source: file.source, line: entry.line, document: entry.document,
                            subject: entry.subject,
                            message: "given by \(place) already; this one is passed over"))
                    continue
                }
                firsts[entry.subject] = (file.source, entry.line)
                if entry.isEndpoints {
                    endpoints.append(entry)
                    continue
                }
                for object in entry.objects {
                    if case .endpointSlice(let slice) = object { sliced.insert(slice.service) }
                    merged.objects.append(object)
                    merged.byKey[object.key] = object
                }
            }
        }
        // No control plane mirrors Endpoints here; where there are slices, they are what counts.
        for object in endpoints.lazy.flatMap(\.objects) {
            guard case .endpointSlice(let slice) = object, !sliced.contains(slice.service),
                merged.byKey[object.key] == nil
            else { continue }
            merged.byKey[object.key] = object
            merged.objects.append(object)
        }
        merged.problems += watchProblems
        return merged
    }
}

extension ParsedManifest {
    /// Takes over from `old` the objects that this file still has, but in a form that was refused.
    fileprivate mutating func keepLastGood(of old: ParsedManifest) {
        let present = Set(entries.map(\.subject))
        let kept = old.entries.filter { refused.contains($0.subject) && !present.contains($0.subject) }
        guard !kept.isEmpty else { return }
        entries += kept
        let subjects = Set(kept.map(\.subject))
        for index in problems.indices {
            guard let subject = problems[index].subject, subjects.contains(subject) else { continue }
            problems[index].message += "; its last good version stays in force"
        }
    }
}
