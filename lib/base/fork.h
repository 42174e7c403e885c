/* Has this process been forked off the one that made a handle? */
#ifndef STELE_BASE_FORK_H
#define STELE_BASE_FORK_H

#include <stdatomic.h>
#include <stdbool.h>

extern atomic_uint stele__fork_count;

/* Have forks counted from now on; false when memory is out. */
bool stele__fork_watch(void);

/* How many fork() calls lie between this process and the first one that watched. */
static inline unsigned stele__fork_generation(void)
{
    return atomic_load_explicit(&stele__fork_count, memory_order_relaxed);
}

#endif
