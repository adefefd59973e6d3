internal import CHostProcess
import Glibc

/// A network namespace that nothing is in, for trying what must not touch the one that this process is in.
public enum ScratchNetwork {
    /// Runs `body` in a new network namespace, on a thread of its own, and waits for it. What `body` leaves there goes
    /// with the thread and the sockets it opened: the namespace has no name. To make one takes CAP_SYS_ADMIN.
    ///
    /// - Throws: `HostProcessError` when there can be no such thread or namespace, and `body` wasn't run.
    public static func run<T>(_ body: () -> T) throws(HostProcessError) -> T {
        var result: Result<T, HostProcessError>?
        var failure: Int32 = 0
        withoutActuallyEscaping(body) { body in
            failure = runOnThread {
                // The thread never goes back: with it, the namespace ends.
                guard unshare(CLONE_NEWNET) == 0 else {
                    result = .failure(HostProcessError(call: "make a network namespace", errno: errno))
                    return
                }
                result = .success(body())
            }
        }
        guard failure == 0, let result else { throw HostProcessError(call: "start a thread", errno: failure) }
        return try result.get()
    }

    private final class Job {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }

    /// - Returns: an errno value, 0 when `body` has run.
    private static func runOnThread(_ body: @escaping () -> Void) -> Int32 {
        let job = Unmanaged.passRetained(Job(body))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { job in
                if let job { Unmanaged<Job>.fromOpaque(job).takeRetainedValue().body() }
                return nil
            }, job.toOpaque())
        guard status == 0 else {
            job.release()
            return status
        }
        pthread_join(thread, nil)
        return 0
    }
}
