/// The forms of kube-proxy's command line that have no counterpart here.
public enum CommandLineForms {
    /// The arguments with `--some_flag` as `--some-flag` (cliflag.WordSepNormalizeFunc), `--flag=` as `--flag ""`, and
    /// `--version=true` or `--version=raw` as `--version`; all else as it is.
    public static func normalized(_ arguments: [String]) -> [String] {
        let end = arguments.firstIndex(of: "--") ?? arguments.endIndex
        return arguments[..<end].flatMap(normalized) + arguments[end...]
    }

    private static func normalized(_ argument: String) -> [String] {
        guard argument.hasPrefix("--") else { return [argument] }
        let end = argument.firstIndex(of: "=") ?? argument.endIndex
        let name = String(argument[..<end].map { $0 == "_" ? "-" : $0 })
        let value = argument[end...].dropFirst()
        if end == argument.endIndex { return [name] }
        if name == "--version" {
            if value == "raw" { return [name] }
            return Switch(argument: String(value)).isOn.map { $0 ? [name] : [] } ?? [argument]
        }
        // The parser would miss a value that is empty.
        return value.isEmpty ? [name, ""] : ["\(name)=\(value)"]
    }
}
