/* A VFS that fails on demand: every call is counted, perhaps refused, and else passed on. */
#include "tests/support/fault_vfs.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>

enum { OPERATIONS = 7, FILES = 3 };

struct file {
    sqlite3_file base;
    unsigned kind;
    sqlite3_file *real; /* behind this struct */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the next four */
static struct fault fault;
static bool kills;
static size_t failures;
static size_t counts[OPERATIONS][FILES];

static struct {
    unsigned operations, files;
    fault_look *look;
    void *context;
} watch; /* set while no other thread uses the VFS */

static sqlite3_vfs *real_vfs;

/* --- Counting and failing ---------------------------------------------------------- */

static int bit(unsigned mask)
{
    return __builtin_ctz(mask);
}

/* The code an operation is to fail with, or SQLITE_OK. */
static int count(unsigned operation, unsigned file, bool *after)
{
    int code = SQLITE_OK;

    if (watch.look && (watch.operations & operation) && (watch.files & file))
        watch.look(watch.context);
    pthread_mutex_lock(&mutex);
    counts[bit(operation)][bit(file)]++;
    *after = fault.after;
    if (fault.number && (fault.operations & operation) && (fault.files & file)) {
        if (fault.number > 1) {
            fault.number--;
        } else {
            if (kills)
                raise(SIGKILL);
            code = fault.code;
            failures++;
            if (!fault.for_ever)
                fault.number = 0;
        }
    }
    pthread_mutex_unlock(&mutex);
    return code;
}

void fault_vfs_set(const struct fault *wanted)
{
    pthread_mutex_lock(&mutex);
    fault = wanted ? *wanted : (struct fault){0};
    failures = 0;
    memset(counts, 0, sizeof(counts));
    pthread_mutex_unlock(&mutex);
}

void fault_vfs_watch(unsigned operations, unsigned files, fault_look *look, void *context)
{
    watch.operations = operations;
    watch.files = files;
    watch.look = look;
    watch.context = context;
}

void fault_vfs_kill(void)
{
    pthread_mutex_lock(&mutex);
    kills = true;
    pthread_mutex_unlock(&mutex);
}

size_t fault_vfs_failures(void)
{
    size_t result;

    pthread_mutex_lock(&mutex);
    result = failures;
    pthread_mutex_unlock(&mutex);
    return result;
}

size_t fault_vfs_count(unsigned operations, unsigned files)
{
    size_t sum = 0;

    pthread_mutex_lock(&mutex);
    for (int i = 0; i < OPERATIONS; i++)
        for (int j = 0; j < FILES; j++)
            if ((operations >> i & 1) && (files >> j & 1))
                sum += counts[i][j];
    pthread_mutex_unlock(&mutex);
    return sum;
}

/* --- Files ---------------------------------------------------------------------------- */

static struct file *of(sqlite3_file *file)
{
    return (struct file *)file;
}

static sqlite3_file *real(sqlite3_file *file)
{
    return of(file)->real;
}

static int close_file(sqlite3_file *file)
{
    return real(file)->pMethods->xClose(real(file));
}

static int read_file(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
    bool after;
    const int code = count(FAULT_READ, of(file)->kind, &after);

    return code ? code : real(file)->pMethods->xRead(real(file), bytes, size, offset);
}

static int write_file(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    bool after;
    const int code = count(FAULT_WRITE, of(file)->kind, &after);

    if (code && !after)
        return code;
    const int done = real(file)->pMethods->xWrite(real(file), bytes, size, offset);
    return code ? code : done;
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size)
{
    bool after;
    const int code = count(FAULT_TRUNCATE, of(file)->kind, &after);

    return code ? code : real(file)->pMethods->xTruncate(real(file), size);
}

static int sync_file(sqlite3_file *file, int flags)
{
    bool after;
    const int code = count(FAULT_SYNC, of(file)->kind, &after);

    if (code && !after)
        return code;
    const int done = real(file)->pMethods->xSync(real(file), flags);
    return code ? code : done;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real(file)->pMethods->xFileSize(real(file), size);
}

static int lock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xLock(real(file), level);
}

static int unlock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xUnlock(real(file), level);
}

static int check_lock(sqlite3_file *file, int *reserved)
{
    return real(file)->pMethods->xCheckReservedLock(real(file), reserved);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    return real(file)->pMethods->xFileControl(real(file), operation, argument);
}

static int sector_size(sqlite3_file *file)
{
    return real(file)->pMethods->xSectorSize(real(file));
}

static int characteristics(sqlite3_file *file)
{
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

static int shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **memory)
{
    return real(file)->pMethods->xShmMap(real(file), region, size, extend, memory);
}

static int shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real(file)->pMethods->xShmLock(real(file), offset, n, flags);
}

static void shm_barrier(sqlite3_file *file)
{
    real(file)->pMethods->xShmBarrier(real(file));
}

static int shm_unmap(sqlite3_file *file, int remove)
{
    return real(file)->pMethods->xShmUnmap(real(file), remove);
}

static const sqlite3_io_methods methods = {
    2,        close_file,  read_file,  write_file,   truncate_file, sync_file,       file_size,
    lock,     unlock,      check_lock, file_control, sector_size,   characteristics, shm_map,
    shm_lock, shm_barrier, shm_unmap,  NULL,         NULL,
};

/* --- The VFS ------------------------------------------------------------------------------ */

static unsigned kind_of(int flags)
{
    if (flags & SQLITE_OPEN_MAIN_DB)
        return FAULT_DATABASE;
    return flags & SQLITE_OPEN_WAL ? FAULT_LOG : FAULT_OTHER;
}

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    struct file *opened = of(file);
    bool after;
    int code = count(FAULT_OPEN, kind_of(flags), &after);

    (void)vfs;
    opened->base.pMethods = NULL;
    if (code)
        return code;
    opened->kind = kind_of(flags);
    opened->real = (sqlite3_file *)(opened + 1);
    code = real_vfs->xOpen(real_vfs, name, opened->real, flags, out_flags);
    if (opened->real->pMethods)
        opened->base.pMethods = &methods;
    return code;
}

static int delete_file(sqlite3_vfs *vfs, const char *name, int sync)
{
    bool after;
    const int code = count(FAULT_DELETE, FAULT_OTHER, &after);

    (void)vfs;
    return code ? code : real_vfs->xDelete(real_vfs, name, sync);
}

static unsigned kind_of_name(const char *name)
{
    const char *suffix = strrchr(name, '-');

    return suffix && strcmp(suffix, "-wal") == 0 ? FAULT_LOG : FAULT_OTHER;
}

static int access_file(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    bool after;

    (void)vfs;
    count(FAULT_ACCESS, kind_of_name(name), &after);
    return real_vfs->xAccess(real_vfs, name, flags, out);
}

static sqlite3_vfs vfs;

void fault_vfs_install(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "fault";
    vfs.pNext = NULL;
    vfs.szOsFile = (int)sizeof(struct file) + real_vfs->szOsFile;
    vfs.xOpen = open_file;
    vfs.xDelete = delete_file;
    vfs.xAccess = access_file;
    fault_vfs_set(NULL);
    sqlite3_vfs_register(&vfs, 1);
}

void fault_vfs_remove(void)
{
    fault_vfs_set(NULL);
    kills = false;
    sqlite3_vfs_unregister(&vfs);
    sqlite3_vfs_register(real_vfs, 1);
}
