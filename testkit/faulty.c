/*
 * A backend over another, whose calls fail when the test says so.
 *
 *     front -> faulty: ask the control -+-> nothing, or "after" -> inner -> its result, or the fault
 *                                       '-> "before" -> the fault
 *
 * An append is one member of a group: what is to fail before is left out of the
 * group that the inner backend gets. What can fail: what the test says.
 */
#include "testkit/faults.h"

#include <stele/memory.h>

#include <string.h>

struct faulty {
    struct stele_backend base;
    struct stele_store_ops ops; /* with the scheme of the inner one */
    struct stele_backend *inner;
    stele_faults *faults;
    stele_arena *arena; /* holds the backend itself */
};

static struct faulty *faulty_of(struct stele_backend *backend)
{
    return (struct faulty *)backend;
}

/*
 * Carry out CALL of the inner backend as the control says. The slots differ in
 * nothing but their parameters.
 */
#define PASS(backend, kind, call) \
    do { \
        const struct verdict verdict = stele__kit_ask(faulty_of(backend)->faults, (kind)); \
        struct stele_backend *inner = faulty_of(backend)->inner; \
        stele_status status = STELE_OK; \
        if (!verdict.fails || verdict.after) \
            status = inner->ops->call; \
        return status == STELE_OK && verdict.fails ? stele__kit_fail_call(&verdict, error) : status; \
    } while (0)

/* --- Appends --------------------------------------------------------------------------------- */

/* Make one member fail that may have been written. */
static void spoil(struct stele_append_member *member, const struct verdict *verdict)
{
    if (verdict->after && member->status != STELE_OK)
        return;
    memset(&member->result, 0, sizeof(member->result));
    member->status = stele__kit_fail_call(verdict, &member->error);
}

static void pass_run(struct faulty *faulty, struct stele_append_member *members, size_t count)
{
    if (count)
        faulty->inner->ops->append(faulty->inner, members, count);
}

/* The members up to the first that is to fail; its verdict is in `*last`. Returns how many, that one included. */
static size_t find_run(struct faulty *faulty, size_t count, struct verdict *last)
{
    for (size_t i = 0; i < count; i++) {
        *last = stele__kit_ask(faulty->faults, STELE_CALL_APPEND);
        if (last->fails)
            return i + 1;
    }
    return count;
}

static void faulty_append(struct stele_backend *backend, struct stele_append_member *members, size_t count)
{
    struct faulty *faulty = faulty_of(backend);

    while (count > 0) {
        struct verdict verdict = {.fails = false};
        const size_t run = find_run(faulty, count, &verdict);
        const bool left_out = verdict.fails && !verdict.after;

        pass_run(faulty, members, left_out ? run - 1 : run);
        if (verdict.fails)
            spoil(&members[run - 1], &verdict);
        members += run;
        count -= run;
    }
}

/* --- All else -------------------------------------------------------------------------------- */

static stele_status faulty_read(struct stele_backend *backend, const struct stele_scan *scan, stele_record_visit *visit,
                                void *context, struct stele_scan_end *end, stele_error **error)
{
    PASS(backend, STELE_CALL_READ, read(inner, scan, visit, context, end, error));
}

static stele_status faulty_find(struct stele_backend *backend, const struct stele_record *wanted,
                                stele_record_visit *visit, void *context, stele_error **error)
{
    PASS(backend, STELE_CALL_FIND, find(inner, wanted, visit, context, error));
}

static stele_status faulty_streams(struct stele_backend *backend, const struct stele_stream_query *query,
                                   stele_stream_visit *visit, void *context, stele_error **error)
{
    PASS(backend, STELE_CALL_STREAMS, streams(inner, query, visit, context, error));
}

static stele_status faulty_wait(struct stele_backend *backend, uint64_t position, uint32_t timeout_ms, uint64_t *head,
                                stele_error **error)
{
    PASS(backend, STELE_CALL_WAIT, wait(inner, position, timeout_ms, head, error));
}

static stele_status faulty_stats(struct stele_backend *backend, struct stele_stats *out, stele_error **error)
{
    PASS(backend, STELE_CALL_STATS, stats(inner, out, error));
}

static stele_status faulty_verify(struct stele_backend *backend, const struct stele_verify_options *options,
                                  struct stele_verified *out, stele_error **error)
{
    PASS(backend, STELE_CALL_VERIFY, verify(inner, options, out, error));
}

static stele_status faulty_find_command(struct stele_backend *backend, const struct stele_command_record *wanted,
                                        stele_command_visit *visit, void *context, stele_error **error)
{
    PASS(backend, STELE_CALL_FIND_COMMAND, find_command(inner, wanted, visit, context, error));
}

static stele_status faulty_mark_commands(struct stele_backend *backend, const struct stele_retention *retention,
                                         struct stele_command_mark *out, stele_error **error)
{
    PASS(backend, STELE_CALL_MARK_COMMANDS, mark_commands(inner, retention, out, error));
}

static stele_status faulty_forget_commands(struct stele_backend *backend, const struct stele_command_mark *mark,
                                           uint64_t most, uint64_t *forgotten, stele_error **error)
{
    PASS(backend, STELE_CALL_FORGET_COMMANDS, forget_commands(inner, mark, most, forgotten, error));
}

static stele_status faulty_load_snapshot(struct stele_backend *backend, struct stele_slice stream,
                                         stele_snapshot_visit *visit, void *context, stele_error **error)
{
    PASS(backend, STELE_CALL_LOAD_SNAPSHOT, load_snapshot(inner, stream, visit, context, error));
}

static stele_status faulty_save_snapshot(struct stele_backend *backend, const struct stele_snapshot *snapshot,
                                         stele_error **error)
{
    PASS(backend, STELE_CALL_SAVE_SNAPSHOT, save_snapshot(inner, snapshot, error));
}

static stele_status faulty_drop_snapshot(struct stele_backend *backend, struct stele_slice stream, stele_error **error)
{
    PASS(backend, STELE_CALL_DROP_SNAPSHOT, drop_snapshot(inner, stream, error));
}

static stele_status faulty_read_checkpoints(struct stele_backend *backend, const char *name,
                                            stele_checkpoint_visit *visit, void *context, stele_error **error)
{
    PASS(backend, STELE_CALL_READ_CHECKPOINTS, read_checkpoints(inner, name, visit, context, error));
}

static stele_status faulty_write_checkpoint(struct stele_backend *backend, const struct stele_checkpoint *checkpoint,
                                            uint64_t expected, stele_error **error)
{
    PASS(backend, STELE_CALL_WRITE_CHECKPOINT, write_checkpoint(inner, checkpoint, expected, error));
}

static stele_status faulty_delete_checkpoint(struct stele_backend *backend, const char *name, bool *found,
                                             stele_error **error)
{
    PASS(backend, STELE_CALL_DELETE_CHECKPOINT, delete_checkpoint(inner, name, found, error));
}

static bool faulty_idle(struct stele_backend *backend)
{
    struct stele_backend *inner = faulty_of(backend)->inner;

    return inner->ops->idle(inner);
}

static void faulty_close(struct stele_backend *backend)
{
    struct faulty *faulty = faulty_of(backend);

    faulty->inner->ops->close(faulty->inner);
    stele_arena_free(faulty->arena);
}

static const struct stele_store_ops faulty_ops = {
    .size = sizeof(struct stele_store_ops),
    .close = faulty_close,
    .append = faulty_append,
    .read = faulty_read,
    .find = faulty_find,
    .streams = faulty_streams,
    .wait = faulty_wait,
    .stats = faulty_stats,
    .verify = faulty_verify,
    .find_command = faulty_find_command,
    .mark_commands = faulty_mark_commands,
    .forget_commands = faulty_forget_commands,
    .load_snapshot = faulty_load_snapshot,
    .save_snapshot = faulty_save_snapshot,
    .drop_snapshot = faulty_drop_snapshot,
    .read_checkpoints = faulty_read_checkpoints,
    .write_checkpoint = faulty_write_checkpoint,
    .delete_checkpoint = faulty_delete_checkpoint,
};

stele_status stele__kit_wrap(void *faults, struct stele_backend *inner, struct stele_backend **out, stele_error **error)
{
    stele_arena *arena = NULL;
    struct faulty *faulty;
    const stele_status status = stele_arena_new(&arena, error);

    if (status != STELE_OK)
        return status;
    faulty = stele_arena_alloc(arena, sizeof(*faulty));
    if (!faulty) {
        stele_arena_free(arena);
        return stele_backend_fail(error, STELE_NO_MEMORY, "out of memory");
    }
    *faulty = (struct faulty){.ops = faulty_ops, .inner = inner, .faults = faults, .arena = arena};
    faulty->ops.scheme = inner->ops->scheme;
    faulty->ops.idle = inner->ops->idle ? faulty_idle : NULL;
    faulty->base.ops = &faulty->ops;
    faulty->base.idle_ms = inner->idle_ms;
    *out = &faulty->base;
    return STELE_OK;
}
