// malloc_trim(3): Swift's module Glibc leaves this header out.
#include <malloc.h>
// CLONE_NEWNET, which glibc's <sched.h> hides behind _GNU_SOURCE, and with it the function that takes it.
#include <linux/sched.h>
extern int unshare(int flags);
