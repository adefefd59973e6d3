// What Swift's Glibc module leaves out: setns, memfd_create, pipe2 and accept4 hide behind _GNU_SOURCE, and
// `environ` is a mutable global that strict concurrency refuses.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

/// Moves the calling thread, and it alone, into the network namespace that the file at `path` stands for.
/// Returns 0 or an errno value.
int ctest_enter_network_namespace(const char *path);

/// Starts `argv[0]` (looked up in PATH) with this process' environment and the three given descriptors as
/// its standard streams; the child is in the calling thread's network namespace. Its signal mask is empty.
/// Returns 0 and sets `*pid`, or an errno value.
int ctest_spawn(pid_t *pid, char *const argv[], int input, int output, int error);

/// A nameless file in memory that closes on exec, or -1 and errno.
int ctest_memory_file(void);

/// A pipe whose ends close on exec: 0, or -1 and errno.
int ctest_pipe(int ends[2]);

/// The next connection, non-blocking and closing on exec, or -1 and errno. Closing on exec has to be set by
/// the same call: another thread may be starting a process, which would keep the connection open.
int ctest_accept(int listener, struct sockaddr *address, socklen_t *length);

/// A descriptor that becomes readable when the process ends and closes on exec (pidfd_open(2)), or -1 and errno.
int ctest_pidfd(pid_t pid);
