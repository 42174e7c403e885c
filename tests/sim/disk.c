/* The disk of a simulated world, see disk.h. */
#include "tests/sim/disk.h"

#include "base/error.h"
#include "store/backends.h"
#include "store/store.h"

#include <string.h>

struct disk disk;

static struct stele_store_ops ops;

/* False if the write does not happen. It is the last one that is told of if the disk is cut then. */
static bool begin_write(void)
{
    if (disk.is_cut)
        return false;
    disk.writes++;
    if (disk.cut_in == 0 || --disk.cut_in > 0)
        return true;
    disk.is_cut = true;
    return disk.cuts_behind;
}

static void refuse(struct stele_append_member *member)
{
    member->error = NULL;
    member->status = stele__fail(&member->error, STELE_IO, "the disk is gone");
}

/* Written, but the answer is lost. */
static void forget(struct stele_append_member *member)
{
    if (member->status != STELE_OK)
        return;
    member->error = NULL;
    member->status = stele__fail(&member->error, STELE_UNKNOWN, "the answer was lost");
}

static void disk_append(struct stele_backend *backend, struct stele_append_member *members, size_t count)
{
    if (begin_write()) {
        stele__memory_ops.append(backend, members, count);
        for (size_t i = 0; i < count && disk.lost_words; i++)
            if (sim_chance(disk.lost_words))
                forget(&members[i]);
        return;
    }
    for (size_t i = 0; i < count; i++)
        refuse(&members[i]);
}

static stele_status disk_read(struct stele_backend *backend, const struct stele_scan *scan, stele_record_visit *visit,
                              void *context, struct stele_scan_end *end, stele_error **error)
{
    const bool is_log = scan->stream.data == NULL;

    if (disk.is_cut || (is_log && disk.weather && sim_chance(disk.weather)))
        return stele__fail(error, STELE_IO, "the disk cannot be read now");
    return stele__memory_ops.read(backend, scan, visit, context, end, error);
}

static stele_status disk_write_checkpoint(struct stele_backend *backend, const struct stele_checkpoint *checkpoint,
                                          uint64_t expected, stele_error **error)
{
    stele_status status;

    if (!disk.is_cut && disk.weather && sim_chance(disk.weather))
        return stele__fail(error, STELE_BUSY, "somebody else writes");
    if (!begin_write())
        return stele__fail(error, STELE_IO, "the disk is gone");
    status = stele__memory_ops.write_checkpoint(backend, checkpoint, expected, error);
    if (status == STELE_OK && disk.checkpointed)
        disk.checkpointed(checkpoint->name, checkpoint->position);
    return status;
}

/* The store is the front's own but for its functions. */
void disk_open(void)
{
    stele_error *error = NULL;

    memset(&disk, 0, sizeof(disk));
    assert_ok(stele_store_open("memory:", NULL, &disk.store, &error), error);
    ops = stele__memory_ops;
    ops.append = disk_append;
    ops.read = disk_read;
    ops.write_checkpoint = disk_write_checkpoint;
    disk.store->ops = &ops;
    disk.store->queue.ops = &ops;
}

void disk_close(void)
{
    stele_store_close(disk.store);
    disk.store = NULL;
}

uint64_t disk_head(void)
{
    uint64_t head = 0;

    stele_wait(disk.store, 0, 0, &head, NULL);
    return head;
}
