/*
 * Which stores this process has open, and which it inherited open.
 *
 *     open -> entered, unless inherited -> closed: left
 *     fork() -> in the child, all that is entered is inherited, for good
 *
 * SQLite remembers for the whole process which locks its connections hold on a
 * file. A child inherits that memory without the locks: a connection it opens
 * to the same file believes to be protected, while the parent, when it closes
 * the last connection it knows of, removes the log under it. What the child had
 * been told is stored would be lost with it. So a child never opens such a file.
 *
 * What can fail: there is no memory for the handler of forks.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"

#include <sys/stat.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the two below, and their entries */
static struct sqlite_entry *first;
static bool watching;

/* Nobody is in the middle of the list when the child gets its copy. */
static void before_fork(void)
{
    pthread_mutex_lock(&mutex);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&mutex);
}

static void after_fork_in_child(void)
{
    for (struct sqlite_entry *entry = first; entry; entry = entry->next)
        entry->inherited = true;
    pthread_mutex_unlock(&mutex);
}

/* Under the mutex. */
static bool watch(void)
{
    if (!watching)
        watching = pthread_atfork(before_fork, after_fork, after_fork_in_child) == 0;
    return watching;
}

static bool is_inherited(const struct sqlite_file_identity *file)
{
    for (const struct sqlite_entry *entry = first; entry; entry = entry->next)
        if (entry->inherited && entry->file.device == file->device && entry->file.inode == file->inode)
            return true;
    return false;
}

stele_status stele__sqlite_enter_process(struct sqlite_store *store, stele_error **error)
{
    struct sqlite_entry *entry = &store->entry;
    stele_status status = STELE_OK;
    struct stat facts;

    if (stat(store->path, &facts) != 0)
        return STELE_OK; /* in a VFS of the user's own, which keeps its locks in its own way */
    entry->file = (struct sqlite_file_identity){(uint64_t)facts.st_dev, (uint64_t)facts.st_ino};
    pthread_mutex_lock(&mutex);
    if (!watch()) {
        status = stele__fail_memory(error);
    } else if (is_inherited(&entry->file)) {
        status = stele__fail(error, STELE_FORKED,
                             "%s: was open when this process was forked off: SQLite's locks do not allow to open it "
                             "here; fork before opening it, or let the child exec",
                             store->path);
    } else {
        entry->next = first;
        first = entry;
        entry->entered = true;
    }
    pthread_mutex_unlock(&mutex);
    return status;
}

void stele__sqlite_leave_process(struct sqlite_store *store)
{
    if (!store->entry.entered)
        return;
    pthread_mutex_lock(&mutex);
    for (struct sqlite_entry **place = &first; *place; place = &(*place)->next) {
        if (*place == &store->entry) {
            *place = store->entry.next;
            break;
        }
    }
    pthread_mutex_unlock(&mutex);
}
