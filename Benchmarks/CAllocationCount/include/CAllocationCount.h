#ifndef SLUICE_ALLOCATION_COUNT_H
#define SLUICE_ALLOCATION_COUNT_H

#include <stdint.h>

/// What the whole process has asked of the heap since it began. A program that links this target has its malloc(3)
/// counted, in shared libraries too.
struct sluice_allocations {
    /// Calls that gave memory: malloc, calloc, realloc, aligned_alloc, memalign and posix_memalign.
    uint64_t count;
    /// Bytes that they were asked for.
    uint64_t bytes;
};

struct sluice_allocations sluice_allocations_now(void);

#endif
