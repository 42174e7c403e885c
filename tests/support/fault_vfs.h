/*
 * A VFS over SQLite's own that counts operations and fails those it is told to.
 *
 * Installed, it is the default VFS of the process. An operation on a file is of
 * a kind (write, sync ...) and on a file of a kind (database, log, other);
 * faults and counts choose both. Used by one test at a time; thread-safe.
 */
#ifndef STELE_TESTS_FAULT_VFS_H
#define STELE_TESTS_FAULT_VFS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    FAULT_READ = 1,
    FAULT_WRITE = 2,
    FAULT_SYNC = 4,
    FAULT_TRUNCATE = 8,
    FAULT_OPEN = 16,
    FAULT_DELETE = 32,
    FAULT_ACCESS = 64, /* asking whether a file is there: counted and watched, never failed */
    FAULT_CHANGES = FAULT_WRITE | FAULT_SYNC | FAULT_TRUNCATE | FAULT_OPEN | FAULT_DELETE
};

enum { FAULT_DATABASE = 1, FAULT_LOG = 2, FAULT_OTHER = 4, FAULT_ANY_FILE = 7 };

struct fault {
    unsigned operations; /* of FAULT_READ ... */
    unsigned files;      /* of FAULT_DATABASE ... */
    size_t number;       /* the n-th such operation from now fails; 0: none */
    bool for_ever;       /* and all after it */
    bool after;          /* a write or sync is done all the same, and then said to have failed */
    int code;            /* an SQLite result code */
};

void fault_vfs_install(void);
/* Every file opened through it must be closed. */
void fault_vfs_remove(void);

/* Replace what is to fail; NULL for nothing. Starts counting anew. */
void fault_vfs_set(const struct fault *fault);
/* From now on the process is killed (SIGKILL) where something is to fail, until fault_vfs_remove(). */
void fault_vfs_kill(void);
/* Call `look` before each operation of these kinds; NULL for none. It must not change what fails. */
typedef void fault_look(void *context);
void fault_vfs_watch(unsigned operations, unsigned files, fault_look *look, void *context);
/* How often something failed since. */
size_t fault_vfs_failures(void);

/* Operations since the last fault_vfs_set(). */
size_t fault_vfs_count(unsigned operations, unsigned files);

#endif
