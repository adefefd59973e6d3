#define _GNU_SOURCE
#include "CTestNetwork.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

int ctest_enter_network_namespace(const char *path) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return errno;
    }
    int result = setns(descriptor, CLONE_NEWNET) == 0 ? 0 : errno;
    close(descriptor);
    return result;
}

int ctest_spawn(pid_t *pid, char *const argv[], int input, int output, int error) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int result = posix_spawn_file_actions_init(&actions);
    if (result != 0) {
        return result;
    }
    result = posix_spawnattr_init(&attributes);
    if (result != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return result;
    }
    sigset_t none;
    sigemptyset(&none);
    const int streams[3] = {input, output, error};
    for (int stream = 0; stream < 3 && result == 0; stream++) {
        result = posix_spawn_file_actions_adddup2(&actions, streams[stream], stream);
    }
    if (result == 0) {
        result = posix_spawnattr_setsigmask(&attributes, &none);
    }
    if (result == 0) {
        result = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    }
    if (result == 0) {
        result = posix_spawnp(pid, argv[0], &actions, &attributes, argv, environ);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return result;
}

int ctest_memory_file(void) {
    return memfd_create("output", MFD_CLOEXEC);
}

int ctest_pipe(int ends[2]) {
    return pipe2(ends, O_CLOEXEC);
}

int ctest_accept(int listener, struct sockaddr *address, socklen_t *length) {
    return accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int ctest_pidfd(pid_t pid) {
    return (int)syscall(SYS_pidfd_open, pid, 0);
}
