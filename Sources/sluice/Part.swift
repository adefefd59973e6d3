import Logging
import ServiceLifecycle

/// A service out of a function that ends when its task is cancelled.
struct Part: Service {
    let body: @Sendable () async throws -> Void

    init(_ body: @escaping @Sendable () async throws -> Void) { self.body = body }

    func run() async throws { try await cancelWhenGracefulShutdown(body) }
}

extension ServiceGroup {
    /// A group whose last two members end all of it when they come to their end; the others may have no more to do, as
    /// with standard input, which doesn't change. It is shut down from the last to the first.
    init(_ parts: [Part], endedBy last: [Part]) {
        func member(_ part: Part, _ atEnd: ServiceGroupConfiguration.ServiceConfiguration.TerminationBehavior)
            -> ServiceGroupConfiguration.ServiceConfiguration
        { .init(service: part, successTerminationBehavior: atEnd) }
        let members = parts.map { member($0, .ignore) } + last.map { member($0, .gracefullyShutdownGroup) }
        self.init(
            configuration: ServiceGroupConfiguration(
                services: members, logger: Logger(label: "services") { _ in SwiftLogNoOpLogHandler() }))
    }
}
