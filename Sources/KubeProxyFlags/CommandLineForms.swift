/// The forms of kube-proxy's command line that have no counterpart here.
public enum CommandLineForms {
    /// The arguments with `--some_flag` as `--some-flag` (cliflag.WordSepNormalizeFunc), and `--version=true` or
    /// `--version=raw` as `--version`; all else as it is.
    public static func normalized(_ arguments: [String]) -> [String] {
        var isOver = false
        return arguments.compactMap { argument in
            isOver = isOver || argument == "--"
            guard !isOver, argument.hasPrefix("--") else { return argument }
            let end = argument.firstIndex(of: "=") ?? argument.endIndex
            let name = String(argument[..<end].map { $0 == "_" ? "-" : $0 })
            guard name == "--version", end != argument.endIndex else { return name + argument[end...] }
            let value = String(argument[argument.index(after: end)...])
            guard value == "raw" || Switch(argument: value)?.isOn == true else {
                return Switch(argument: value) == nil ? argument : nil
            }
            return name
        }
    }
}
