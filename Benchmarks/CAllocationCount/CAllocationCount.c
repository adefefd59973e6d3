// The program's own malloc(3) comes before that of the C library for all that is linked with it (glibc manual,
// "Replacing malloc"); the memory is still the library's.
#include "CAllocationCount.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
// The sanitizer has a malloc of its own: nothing is counted.
#define HAS_OTHER_MALLOC
#endif
#endif

static _Atomic uint64_t allocation_count;
static _Atomic uint64_t allocated_bytes;

struct sluice_allocations sluice_allocations_now(void)
{
    return (struct sluice_allocations) {
        .count = atomic_load_explicit(&allocation_count, memory_order_relaxed),
        .bytes = atomic_load_explicit(&allocated_bytes, memory_order_relaxed),
    };
}

#ifndef HAS_OTHER_MALLOC
static void add(size_t size)
{
    atomic_fetch_add_explicit(&allocation_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&allocated_bytes, size, memory_order_relaxed);
}

void *malloc(size_t size)
{
    add(size);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    add(count * size);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    add(size);
    return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size)
{
    add(size);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    void *result = memalign(alignment, size);
    if (result == NULL)
        return ENOMEM;
    *memory = result;
    return 0;
}
#endif
