/* The disk below the VFS of crash_vfs.h: files of two layers, operations, faults. Callers hold the disk's mutex. */
#ifndef STELE_TESTS_CRASH_DISK_H
#define STELE_TESTS_CRASH_DISK_H

#include "tests/support/crash_vfs.h"

#include <pthread.h>
#include <sqlite3.h>

enum operation_kind {
    OPERATION_CREATE,
    OPERATION_DELETE,
    OPERATION_WRITE,
    OPERATION_TRUNCATE,
    OPERATION_SYNC,
    OPERATION_SYNC_FOLDER,
    OPERATION_DROP /* a sync that failed: what was pending of the file is gone */
};

/* Shared by the recording and the lists of pending ones; immutable. */
struct operation {
    unsigned references;
    enum operation_kind kind;
    size_t file;
    uint64_t offset; /* of a write; the new size of a truncation */
    size_t size;
    unsigned char bytes[];
};

struct bytes {
    unsigned char *data;
    size_t size, room;
};

enum { SHM_LOCKS = 8, SHM_REGIONS = 16 };

struct file {
    char name[64];
    bool linked; /* programs find it by its name */
    bool durable_linked;
    struct bytes cached, durable;
    size_t opened;
    /* The locks of the database file. */
    size_t shared;
    const void *reserved, *pending, *exclusive; /* who holds it */
    /* Shared memory and its locks. */
    size_t mapped;
    void *regions[SHM_REGIONS];
    unsigned shm_shared[SHM_LOCKS];
    const void *shm_exclusive[SHM_LOCKS];
};

struct operations {
    struct operation **list;
    size_t count, room;
};

struct crash_disk {
    sqlite3_vfs vfs;
    pthread_mutex_t mutex; /* guards all below */
    struct crash_options options;
    struct file **files;
    size_t file_count;
    struct operations pending;
    struct operations recorded;
    struct operation *in_flight; /* what a power cut interrupted */
    size_t count;
    enum crash_fault fault;
    size_t fault_at;
    bool fault_for_ever;
    bool failed;
    bool dark; /* power is off */
    uint64_t random;
    _Atomic int64_t time; /* ns */
    struct stele_clock clock;
};

void *disk_allocate(void *memory, size_t size);

struct file *disk_find(struct crash_disk *disk, const char *name);
/* A file outside the operations, for SQLite's temporary ones. */
size_t disk_add_file(struct crash_disk *disk, const char *name);

/* Do an operation: count it, let faults strike, record it. SQLITE_OK or the SQLITE_IOERR it fails with. */
int disk_operate(struct crash_disk *disk, enum operation_kind kind, size_t file, uint64_t offset, const void *bytes,
                 size_t size);
/* The bytes programs see, outside the operations. */
void disk_write_cached(struct file *file, uint64_t offset, const void *bytes, size_t size);

#endif
