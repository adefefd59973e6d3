import ArgumentParser
import Glibc

/// - Throws: for anybody else, what to do.
public func requireRoot() throws {
    guard geteuid() == 0 else {
        throw ValidationError("Network namespaces and nf_tables need root: run it with sudo.")
    }
}
