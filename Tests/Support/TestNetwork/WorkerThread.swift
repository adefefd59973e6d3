import Glibc

/// A POSIX thread of its own. A network namespace belongs to a thread, and a Swift task may resume on
/// another one, so whatever enters a namespace runs here.
struct WorkerThread {
    private final class Job {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }

    private let handle: pthread_t

    /// Starts `body`. What it captures must be left alone by others until `join` has returned, or be safe
    /// to share.
    init(_ body: @escaping () -> Void) throws {
        let context = Unmanaged.passRetained(Job(body))
        var handle = pthread_t()
        let result = pthread_create(
            &handle, nil,
            { context in
                if let context { Unmanaged<Job>.fromOpaque(context).takeRetainedValue().body() }
                return nil
            }, context.toOpaque())
        guard result == 0 else {
            context.release()
            throw SystemError("pthread_create", number: result)
        }
        self.handle = handle
    }

    /// Waits for the end of the thread; to be called exactly once.
    func join() { pthread_join(handle, nil) }

    /// Runs `body` on a new thread and waits for it.
    static func run<T>(_ body: () throws -> T) throws -> T {
        var result: Result<T, any Error>?
        try withoutActuallyEscaping(body) { body in
            try WorkerThread { result = Result(catching: body) }.join()
        }
        guard let result else { preconditionFailure("a joined thread has left its result") }
        return try result.get()
    }
}
