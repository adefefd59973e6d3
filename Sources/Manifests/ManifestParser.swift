import Documents
import Foundation
import KubernetesAPI
import ObjectReading
import Yams

/// Reads Kubernetes objects from the text of manifest files: YAML of any number of documents, or JSON.
///
/// Read are Service, Endpoints and Node (`v1`), EndpointSlice (`discovery.k8s.io/v1`), ServiceCIDR
/// (`networking.k8s.io/v1`), and lists of them (`List`, `ServiceList`, …). Fields that are missing
/// get Kubernetes' defaults. What is wrong spoils as little as can be: an unusable port is left out,
/// its Service is served; and each problem says what follows from it.
public enum ManifestParser {
    /// Files beyond this many bytes are refused: 256 MiB, four times 5,000 Services of 50 endpoints.
    public static let sizeLimit = 256 << 20

    /// Up to this size (bytes) a JSON file with a problem is read a second time, for the line.
    static let lineSearchLimit = 8 << 20

    /// Parses the text of one file; `source` names it in problems. Does no I/O and never throws.
    public static func parse(_ text: String, source: String) -> ParsedManifest {
        parse(Data(text.utf8), source: source)
    }

    /// Parses the bytes of one file (UTF-8); `source` names it in problems. Does no I/O and never throws.
    public static func parse(_ bytes: [UInt8], source: String) -> ParsedManifest {
        parse(Data(bytes), source: source)
    }

    static func parse(_ data: Data, source: String) -> ParsedManifest {
        var parse = Parse(source: source)
        parse.run(data)
        return parse.result
    }
}

/// One run of the parser.
private struct Parse {
    var result: ParsedManifest
    private let decoder = JSONDecoder()

    init(source: String) {
        // A file's name is input too, and a problem is one line.
        result = ParsedManifest(source: Text.isPlain(source, limit: 4096) ? source : Text.quoted(source))
        if let key = CodingUserInfoKey.interner { decoder.userInfo[key] = Interner() }
    }

    mutating func run(_ data: Data) {
        guard data.count <= ManifestParser.sizeLimit else {
            fail(
                nil, "\(data.count >> 20) MiB are more than the \(ManifestParser.sizeLimit >> 20) MiB allowed"
            )
            return
        }
        let data = data.starts(with: [0xef, 0xbb, 0xbf]) ? Data(data.dropFirst(3)) : data
        if data.first(where: { !" \t\r\n".utf8.contains($0) }) == UInt8(ascii: "{") {
            do {
                runJSON(try decoder.decode(ManifestItem.self, from: data), data)
                return
            } catch {
                // Perhaps YAML's flow style, which starts the same; if not, YAML's error has the line.
                let limit = ManifestParser.lineSearchLimit
                guard data.count <= limit else {
                    fail(nil, "not JSON (the line is looked for in files up to \(limit >> 20) MiB)")
                    return
                }
            }
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            fail(nil, "not UTF-8 text")
            return
        }
        runYAML(text)
    }

    private mutating func runJSON(_ item: ManifestItem, _ data: Data) {
        var lines: YAMLDocument?
        if !item.findings.isEmpty, data.count <= ManifestParser.lineSearchLimit,
            let text = String(validating: data, as: UTF8.self),
            let root = try? Yams.Parser(yaml: text, resolver: .basic, encoding: .utf8).nextRoot()
        {
            lines = YAMLDocument(root: root)
        }
        add(item, document: nil, lines: lines)
    }

    private mutating func runYAML(_ text: String) {
        do throws(YAMLKeys.Refusal) {
            try YAMLKeys.check(text)
        } catch {
            fail(error.line, error.message)
            return
        }
        var count = 0
        do {
            // No file has more nodes than bytes, unless by aliases, and those that are in use are few.
            let nodeLimit = text.utf8.count + 100_000
            let parser = try Yams.Parser(yaml: text, resolver: .basic, encoding: .utf8)
            while let root = try parser.nextRoot() {
                count += 1
                let document = YAMLDocument(root: root)
                if document.isEmpty { continue }
                do throws(YAMLDocument.Refusal) {
                    let json = try document.json(nodeLimit: nodeLimit)
                    add(item(json), document: count, lines: document)
                } catch {
                    fail(error.line, error.message, document: count)
                }
            }
        } catch let error as YamlError {
            let (line, message) = error.lineAndMessage(in: text)
            fail(line, message)
        } catch {
            fail(nil, "not YAML")
        }
        guard count <= 1 else { return }
        // The one document of a file needs no number.
        for index in result.entries.indices { result.entries[index].document = nil }
        for index in result.problems.indices { result.problems[index].document = nil }
    }

    private func item(_ json: [UInt8]) -> ManifestItem {
        if let item = try? decoder.decode(ManifestItem.self, from: Data(json)) { return item }
        var item = ManifestItem()
        item.findings = [Finding(field: .root, message: "not a Kubernetes object; it is passed over")]
        return item
    }

    /// Notes that the file can't be read to its end.
    private mutating func fail(_ line: Int?, _ message: String, document: Int? = nil) {
        result.isComplete = false
        result.problems.append(
            ObjectProblem(source: result.source, line: line, document: document, message: message))
    }

    private mutating func add(_ item: ManifestItem, document: Int?, lines: YAMLDocument?) {
        for entry in item.entries {
            result.entries.append(
                ParsedManifest.Entry(
                    subject: entry.subject, isEndpoints: entry.kind == RawEndpoints.kind,
                    line: lines?.line(of: entry.path), document: document, objects: entry.objects))
        }
        for finding in item.findings {
            let path = finding.prefix + finding.field
            // Without the object's name only the place in the List tells which one it is.
            let place =
                switch finding.subject {
                case .object, .named: finding.field
                case .kind, nil: path
                }
            let field = place.description
            result.problems.append(
                ObjectProblem(
                    source: result.source, line: lines?.line(of: path), document: document,
                    subject: finding.subject, field: field.isEmpty ? nil : field,
                    message: finding.message))
        }
        result.refused.formUnion(item.refused)
        result.skipped.merge(item.skipped, uniquingKeysWith: +)
    }
}

extension YamlError {
    fileprivate func lineAndMessage(in text: String) -> (line: Int?, message: String) {
        switch self {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return (mark.line, "not YAML: \(problem)")
        case .reader(let problem, let offset, _, _):
            let line = offset.map { offset in text.prefix(offset).count { $0.isNewline } + 1 }
            return (line, "not YAML: \(problem)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            let keys = duplicates.prefix(3).map(Text.quoted).joined(separator: ", ")
            return (context.mark.line, "not YAML: the same key twice in one mapping: \(keys)")
        default:
            return (nil, "not YAML")
        }
    }
}
