/*
 * SQLite's view of the disk of crash_vfs.h: files, their locks, shared memory.
 *
 * The locks and the shared memory are those of SQLite's unix VFS, per opened
 * file instead of per process. As there, the first sync of a new log or journal
 * syncs its folder too. Nothing but the operations of crash_disk.c can fail.
 */
#include "tests/support/crash_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SHM_REGION = 32768 };

/* A file as it was opened. */
struct opened {
    sqlite3_file base;
    struct crash_disk *disk;
    struct file *file;
    size_t index;
    bool passing;     /* a temporary file: nothing of it matters */
    bool sync_folder; /* the next sync is to sync its folder too */
    bool delete_on_close;
    int level; /* of its lock */
    bool mapped;
    unsigned shm_shared, shm_exclusive; /* a bit for each lock held */
};

static struct opened *opened_of(sqlite3_file *file)
{
    return (struct opened *)file;
}

static struct crash_disk *disk_of(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

/* --- Naps ------------------------------------------------------------------------- */

/* Let other threads in, at a place where SQLite must bear it. Called without the mutex. */
static void nap(struct crash_disk *disk)
{
    static _Thread_local uint64_t random;

    if (disk->options.nap_permille == 0)
        return;
    if (random == 0)
        random = disk->options.seed ^ (uint64_t)(uintptr_t)&random;
    if (crash_random_below(&random, 1000) >= disk->options.nap_permille)
        return;
    const struct timespec pause = {.tv_nsec = (long)(1000 * crash_random_below(&random, disk->options.nap_max + 1U))};
    nanosleep(&pause, NULL);
}

/* --- Reading and writing -------------------------------------------------------------- */

static int vfs_read(sqlite3_file *base, void *bytes, int amount, sqlite3_int64 offset)
{
    struct opened *opened = opened_of(base);
    const struct bytes *cached = &opened->file->cached;
    const size_t size = (size_t)amount;
    int code = SQLITE_OK;

    pthread_mutex_lock(&opened->disk->mutex);
    if (opened->disk->dark) {
        code = SQLITE_IOERR_READ;
    } else {
        const size_t at = (size_t)offset < cached->size ? (size_t)offset : cached->size;
        const size_t there = cached->size - at < size ? cached->size - at : size;
        if (there > 0)
            memcpy(bytes, cached->data + at, there);
        memset((unsigned char *)bytes + there, 0, size - there);
        if (there < size)
            code = SQLITE_IOERR_SHORT_READ;
    }
    pthread_mutex_unlock(&opened->disk->mutex);
    return code;
}

static int operate(struct opened *opened, enum operation_kind kind, uint64_t offset, const void *bytes, size_t size)
{
    pthread_mutex_lock(&opened->disk->mutex);
    const int code = disk_operate(opened->disk, kind, opened->index, offset, bytes, size);
    pthread_mutex_unlock(&opened->disk->mutex);
    return code;
}

static int vfs_write(sqlite3_file *base, const void *bytes, int amount, sqlite3_int64 offset)
{
    struct opened *opened = opened_of(base);

    if (!opened->passing)
        return operate(opened, OPERATION_WRITE, (uint64_t)offset, bytes, (size_t)amount);
    disk_write_cached(opened->file, (uint64_t)offset, bytes, (size_t)amount);
    return SQLITE_OK;
}

static int vfs_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct opened *opened = opened_of(base);

    if (!opened->passing)
        return operate(opened, OPERATION_TRUNCATE, (uint64_t)size, NULL, 0);
    if ((size_t)size < opened->file->cached.size)
        opened->file->cached.size = (size_t)size;
    return SQLITE_OK;
}

static int vfs_sync(sqlite3_file *base, int flags)
{
    struct opened *opened = opened_of(base);
    int code;

    (void)flags;
    if (opened->passing)
        return SQLITE_OK;
    nap(opened->disk);
    code = operate(opened, OPERATION_SYNC, 0, NULL, 0);
    if (code == SQLITE_OK && opened->sync_folder) {
        code = operate(opened, OPERATION_SYNC_FOLDER, 0, NULL, 0);
        opened->sync_folder = code != SQLITE_OK;
    }
    return code;
}

static int vfs_file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    struct opened *opened = opened_of(base);

    pthread_mutex_lock(&opened->disk->mutex);
    *size = (sqlite3_int64)opened->file->cached.size;
    pthread_mutex_unlock(&opened->disk->mutex);
    return SQLITE_OK;
}

/* --- Locks of the file ------------------------------------------------------------------- */

static int lock_shared(struct opened *opened)
{
    struct file *file = opened->file;

    if (file->pending != NULL || file->exclusive != NULL)
        return SQLITE_BUSY;
    file->shared++;
    opened->level = SQLITE_LOCK_SHARED;
    return SQLITE_OK;
}

static int lock_exclusive(struct opened *opened)
{
    struct file *file = opened->file;

    if ((file->pending != NULL && file->pending != opened) || (file->reserved != NULL && file->reserved != opened))
        return SQLITE_BUSY;
    file->pending = opened;
    if (file->shared > 1) {
        opened->level = SQLITE_LOCK_PENDING;
        return SQLITE_BUSY;
    }
    file->exclusive = opened;
    opened->level = SQLITE_LOCK_EXCLUSIVE;
    return SQLITE_OK;
}

static int lock(struct opened *opened, int level)
{
    struct file *file = opened->file;

    if (opened->level >= level)
        return SQLITE_OK;
    if (level == SQLITE_LOCK_SHARED)
        return lock_shared(opened);
    if (level == SQLITE_LOCK_EXCLUSIVE)
        return lock_exclusive(opened);
    if (file->reserved != NULL || file->pending != NULL)
        return SQLITE_BUSY;
    file->reserved = opened;
    opened->level = SQLITE_LOCK_RESERVED;
    return SQLITE_OK;
}

static int vfs_lock(sqlite3_file *base, int level)
{
    struct opened *opened = opened_of(base);

    nap(opened->disk);
    pthread_mutex_lock(&opened->disk->mutex);
    const int code = lock(opened, level);
    pthread_mutex_unlock(&opened->disk->mutex);
    return code;
}

static void unlock(struct opened *opened, int level)
{
    struct file *file = opened->file;

    if (opened->level <= level)
        return;
    if (file->reserved == opened)
        file->reserved = NULL;
    if (file->pending == opened)
        file->pending = NULL;
    if (file->exclusive == opened)
        file->exclusive = NULL;
    if (level == SQLITE_LOCK_NONE && opened->level >= SQLITE_LOCK_SHARED)
        file->shared--;
    opened->level = level;
}

static int vfs_unlock(sqlite3_file *base, int level)
{
    struct opened *opened = opened_of(base);

    pthread_mutex_lock(&opened->disk->mutex);
    unlock(opened, level);
    pthread_mutex_unlock(&opened->disk->mutex);
    nap(opened->disk);
    return SQLITE_OK;
}

static int vfs_check_reserved_lock(sqlite3_file *base, int *held)
{
    struct opened *opened = opened_of(base);

    pthread_mutex_lock(&opened->disk->mutex);
    *held = opened->file->reserved != NULL || opened->file->exclusive != NULL;
    pthread_mutex_unlock(&opened->disk->mutex);
    return SQLITE_OK;
}

/* --- Shared memory --------------------------------------------------------------------------- */

static int vfs_shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out)
{
    struct opened *opened = opened_of(base);
    struct file *file = opened->file;
    int code = SQLITE_OK;

    *out = NULL;
    if (size != SHM_REGION || region >= SHM_REGIONS)
        return SQLITE_IOERR_SHMMAP;
    pthread_mutex_lock(&opened->disk->mutex);
    if (opened->disk->dark) {
        code = SQLITE_IOERR_SHMMAP;
    } else {
        if (!opened->mapped) {
            opened->mapped = true;
            file->mapped++;
        }
        if (file->regions[region] == NULL && extend) {
            file->regions[region] = disk_allocate(NULL, SHM_REGION);
            memset(file->regions[region], 0, SHM_REGION);
        }
        *out = file->regions[region];
    }
    pthread_mutex_unlock(&opened->disk->mutex);
    return code;
}

static int shm_release(struct opened *opened, unsigned mask)
{
    struct file *file = opened->file;

    for (unsigned i = 0; i < SHM_LOCKS; i++) {
        const unsigned bit = 1U << i;
        if ((mask & bit) == 0)
            continue;
        if (opened->shm_exclusive & bit)
            file->shm_exclusive[i] = NULL;
        if (opened->shm_shared & bit)
            file->shm_shared[i]--;
    }
    opened->shm_exclusive &= ~mask;
    opened->shm_shared &= ~mask;
    return SQLITE_OK;
}

static int shm_acquire(struct opened *opened, unsigned mask, bool exclusive)
{
    struct file *file = opened->file;

    for (unsigned i = 0; i < SHM_LOCKS; i++) {
        const unsigned bit = 1U << i;
        if ((mask & bit) == 0)
            continue;
        const unsigned others = file->shm_shared[i] - (opened->shm_shared & bit ? 1U : 0U);
        if (file->shm_exclusive[i] != NULL && file->shm_exclusive[i] != opened)
            return SQLITE_BUSY;
        if (exclusive && others > 0)
            return SQLITE_BUSY;
    }
    for (unsigned i = 0; i < SHM_LOCKS; i++) {
        const unsigned bit = 1U << i;
        if ((mask & bit) == 0)
            continue;
        if (exclusive) {
            file->shm_exclusive[i] = opened;
            opened->shm_exclusive |= bit;
        } else if ((opened->shm_shared & bit) == 0) {
            file->shm_shared[i]++;
            opened->shm_shared |= bit;
        }
    }
    return SQLITE_OK;
}

static int vfs_shm_lock(sqlite3_file *base, int offset, int count, int flags)
{
    struct opened *opened = opened_of(base);
    const unsigned mask = ((1U << count) - 1U) << offset;

    nap(opened->disk);
    pthread_mutex_lock(&opened->disk->mutex);
    const int code = flags & SQLITE_SHM_UNLOCK ? shm_release(opened, mask)
                                               : shm_acquire(opened, mask, (flags & SQLITE_SHM_EXCLUSIVE) != 0);
    pthread_mutex_unlock(&opened->disk->mutex);
    nap(opened->disk);
    return code;
}

static void vfs_shm_barrier(sqlite3_file *base)
{
    nap(opened_of(base)->disk);
    __sync_synchronize();
}

/* The last one out takes the memory along: who comes next recovers from the log. */
static int vfs_shm_unmap(sqlite3_file *base, int delete)
{
    struct opened *opened = opened_of(base);
    struct file *file = opened->file;

    (void)delete;
    if (!opened->mapped)
        return SQLITE_OK;
    pthread_mutex_lock(&opened->disk->mutex);
    shm_release(opened, ~0U);
    opened->mapped = false;
    if (--file->mapped == 0)
        for (size_t i = 0; i < SHM_REGIONS; i++) {
            free(file->regions[i]);
            file->regions[i] = NULL;
        }
    pthread_mutex_unlock(&opened->disk->mutex);
    return SQLITE_OK;
}

/* --- Memory maps: there are none, but SQLite may ask ----------------------------------------------- */

static int vfs_fetch(sqlite3_file *base, sqlite3_int64 offset, int amount, void **out)
{
    (void)base;
    (void)offset;
    (void)amount;
    *out = NULL;
    return SQLITE_OK;
}

/* SQLite calls this while a checkpoint looks at the log: the nap is what brings its WAL-reset bug out. */
static int vfs_unfetch(sqlite3_file *base, sqlite3_int64 offset, void *page)
{
    (void)offset;
    (void)page;
    nap(opened_of(base)->disk);
    return SQLITE_OK;
}

/* --- The other functions of a file --------------------------------------------------------------- */

static int vfs_close(sqlite3_file *base)
{
    struct opened *opened = opened_of(base);

    vfs_shm_unmap(base, 0);
    pthread_mutex_lock(&opened->disk->mutex);
    unlock(opened, SQLITE_LOCK_NONE);
    opened->file->opened--;
    if (opened->delete_on_close)
        opened->file->linked = false;
    pthread_mutex_unlock(&opened->disk->mutex);
    return SQLITE_OK;
}

static int vfs_file_control(sqlite3_file *base, int operation, void *argument)
{
    if (operation != SQLITE_FCNTL_POWERSAFE_OVERWRITE)
        return SQLITE_NOTFOUND;
    *(int *)argument = opened_of(base)->disk->options.power_safe;
    return SQLITE_OK;
}

static int vfs_sector_size(sqlite3_file *base)
{
    return (int)opened_of(base)->disk->options.sector;
}

static int vfs_device_characteristics(sqlite3_file *base)
{
    return opened_of(base)->disk->options.power_safe ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0;
}

static const sqlite3_io_methods methods = {
    .iVersion = 3,
    .xClose = vfs_close,
    .xRead = vfs_read,
    .xWrite = vfs_write,
    .xTruncate = vfs_truncate,
    .xSync = vfs_sync,
    .xFileSize = vfs_file_size,
    .xLock = vfs_lock,
    .xUnlock = vfs_unlock,
    .xCheckReservedLock = vfs_check_reserved_lock,
    .xFileControl = vfs_file_control,
    .xSectorSize = vfs_sector_size,
    .xDeviceCharacteristics = vfs_device_characteristics,
    .xShmMap = vfs_shm_map,
    .xShmLock = vfs_shm_lock,
    .xShmBarrier = vfs_shm_barrier,
    .xShmUnmap = vfs_shm_unmap,
    .xFetch = vfs_fetch,
    .xUnfetch = vfs_unfetch,
};

/* --- The VFS -------------------------------------------------------------------------------------------- */

static int open_named(struct crash_disk *disk, const char *name, struct opened *opened, int flags)
{
    const int synced_with_folder = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;
    struct file *file = disk_find(disk, name);
    int code = SQLITE_OK;

    if (disk->dark || (file == NULL && (flags & SQLITE_OPEN_CREATE) == 0))
        return SQLITE_CANTOPEN;
    if (file != NULL && (flags & SQLITE_OPEN_EXCLUSIVE) != 0)
        return SQLITE_CANTOPEN;
    if (file == NULL) {
        const size_t index = disk_add_file(disk, name);
        code = disk_operate(disk, OPERATION_CREATE, index, 0, NULL, 0);
        file = disk->files[index];
    }
    opened->sync_folder = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & synced_with_folder) != 0;
    opened->file = file;
    while (disk->files[opened->index] != file)
        opened->index++;
    return code;
}

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *base, int flags, int *out_flags)
{
    struct crash_disk *disk = disk_of(vfs);
    struct opened *opened = opened_of(base);
    int code = SQLITE_OK;

    memset(opened, 0, sizeof *opened);
    opened->disk = disk;
    opened->passing = name == NULL;
    opened->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    pthread_mutex_lock(&disk->mutex);
    if (name != NULL) {
        code = open_named(disk, name, opened, flags);
    } else {
        opened->index = disk_add_file(disk, "");
        opened->file = disk->files[opened->index];
    }
    if (code == SQLITE_OK) {
        opened->file->opened++;
        opened->base.pMethods = &methods;
        if (out_flags != NULL)
            *out_flags = flags;
    }
    pthread_mutex_unlock(&disk->mutex);
    return code;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    struct crash_disk *disk = disk_of(vfs);
    int code = SQLITE_IOERR_DELETE_NOENT;

    pthread_mutex_lock(&disk->mutex);
    for (size_t i = 0; i < disk->file_count && !disk->dark; i++) {
        if (!disk->files[i]->linked || strcmp(disk->files[i]->name, name) != 0)
            continue;
        code = disk_operate(disk, OPERATION_DELETE, i, 0, NULL, 0);
        if (code == SQLITE_OK && sync_folder)
            code = disk_operate(disk, OPERATION_SYNC_FOLDER, i, 0, NULL, 0);
        break;
    }
    pthread_mutex_unlock(&disk->mutex);
    return code;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    struct crash_disk *disk = disk_of(vfs);

    (void)flags;
    pthread_mutex_lock(&disk->mutex);
    const struct file *file = disk_find(disk, name);
    /* As the unix VFS: an empty file does not count as there. */
    *out = file != NULL && (flags != SQLITE_ACCESS_EXISTS || file->cached.size > 0);
    pthread_mutex_unlock(&disk->mutex);
    return SQLITE_OK;
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int room, char *out)
{
    (void)vfs;
    return snprintf(out, (size_t)room, "%s", name) < room ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int vfs_randomness(sqlite3_vfs *vfs, int amount, char *out)
{
    struct crash_disk *disk = disk_of(vfs);

    pthread_mutex_lock(&disk->mutex);
    for (int i = 0; i < amount; i++)
        out[i] = (char)crash_random(&disk->random);
    pthread_mutex_unlock(&disk->mutex);
    return amount;
}

static void pass_time(struct crash_disk *disk, int64_t nanoseconds)
{
    disk->time += nanoseconds;
    nap(disk);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    pass_time(disk_of(vfs), 1000 * (int64_t)microseconds);
    return microseconds;
}

static int vfs_current_time_64(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    /* Milliseconds of the Julian day at 2026-01-01, and what was slept since. */
    *out = 212634072000000 + disk_of(vfs)->time / 1000000;
    return SQLITE_OK;
}

static int vfs_current_time(sqlite3_vfs *vfs, double *out)
{
    sqlite3_int64 now = 0;
    vfs_current_time_64(vfs, &now);
    *out = (double)now / 86400000.0;
    return SQLITE_OK;
}

static int vfs_get_last_error(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    (void)size;
    (void)out;
    return 0;
}

static const sqlite3_vfs vfs_template = {
    .iVersion = 2,
    .szOsFile = sizeof(struct opened),
    .mxPathname = 63,
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_pathname,
    .xRandomness = vfs_randomness,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_current_time,
    .xGetLastError = vfs_get_last_error,
    .xCurrentTimeInt64 = vfs_current_time_64,
};

/* --- Disks ----------------------------------------------------------------------------------------------- */

static int64_t clock_now(void *context)
{
    return 1767225600000000000 + ((struct crash_disk *)context)->time;
}

static int64_t clock_monotonic(void *context)
{
    return ((struct crash_disk *)context)->time;
}

static void clock_pause(void *context, int64_t nanoseconds)
{
    pass_time(context, nanoseconds);
}

const struct stele_clock *crash_disk_clock(struct crash_disk *disk)
{
    return &disk->clock;
}

struct crash_disk *crash_disk_new(const char *name, const struct crash_options *options)
{
    struct crash_disk *disk = disk_allocate(NULL, sizeof *disk);

    memset(disk, 0, sizeof *disk);
    disk->vfs = vfs_template;
    disk->vfs.zName = name;
    disk->vfs.pAppData = disk;
    disk->clock =
        (struct stele_clock){.now = clock_now, .monotonic = clock_monotonic, .pause = clock_pause, .context = disk};
    pthread_mutex_init(&disk->mutex, NULL);
    crash_disk_format(disk, options);
    if (sqlite3_vfs_register(&disk->vfs, 0) != SQLITE_OK)
        abort();
    return disk;
}

void crash_disk_free(struct crash_disk *disk)
{
    static const struct crash_options none = {0};

    if (disk == NULL)
        return;
    sqlite3_vfs_unregister(&disk->vfs);
    crash_disk_format(disk, &none);
    free(disk->pending.list);
    free(disk->recorded.list);
    free(disk->files);
    pthread_mutex_destroy(&disk->mutex);
    free(disk);
}
