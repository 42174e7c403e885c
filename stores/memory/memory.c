/*
 * The backend that keeps everything in memory: the same contract as the durable
 * ones, gone when closed.
 *
 *     append: rules and log.c, under the lock; waiting readers are woken
 *     read:   block and count of a sequence, taken under the lock; then along
 *             the records without it
 *
 * Positions have no holes here, so a place in either order is an index plus
 * one. What can fail: memory.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "memory/ledger.h"
#include "memory/log.h"
#include "memory/mark.h"
#include "memory/sizes.h"
#include "memory/snapshot.h"

struct memory__store {
    struct stele_backend backend;
    pthread_mutex_t mutex;
    pthread_cond_t appended;            /* on the monotonic clock */
    struct memory__log log;             /* guarded by mutex; records themselves never change */
    struct memory__ledger ledger;       /* guarded by mutex */
    struct memory__snapshots snapshots; /* guarded by mutex */
    struct memory__marks marks;         /* guarded by mutex */
};

extern const struct stele_store_ops stele__memory_ops;

static struct memory__store *store_of(struct stele_backend *backend)
{
    return (struct memory__store *)backend;
}

/* --- Opening and closing ------------------------------------------------------------------ */

static bool init_locks(struct memory__store *store)
{
    pthread_condattr_t attributes;
    pthread_mutexattr_t kind;
    bool ready;

    if (pthread_condattr_init(&attributes) != 0)
        return false;
    ready = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
            pthread_cond_init(&store->appended, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    if (!ready)
        return false;
    ready = pthread_mutexattr_init(&kind) == 0;
    if (ready) {
        /* A companion, which is called with it held, comes back to the backend. */
        ready = pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE) == 0 &&
                pthread_mutex_init(&store->mutex, &kind) == 0;
        pthread_mutexattr_destroy(&kind);
    }
    if (!ready)
        pthread_cond_destroy(&store->appended);
    return ready;
}

static stele_status memory_open(const struct stele_open_request *request, struct stele_backend **out,
                                stele_error **error)
{
    struct memory__store *store;

    if (request->parameter_count)
        return stele__fail(error, STELE_INVALID, "memory: takes no parameter \"%s\"", request->parameters[0].name);
    if (request->mode != STELE_OPEN_CREATE)
        return stele__fail(error, STELE_NOT_FOUND, "a memory store is always a new one: it can only be created");
    store = stele__alloc(sizeof(*store));
    if (!store || !init_locks(store)) {
        stele__free(store, sizeof(*store));
        return stele__fail_memory(error);
    }
    store->backend.ops = &stele__memory_ops;
    memory__log_init(&store->log);
    memory__ledger_init(&store->ledger);
    memory__snapshots_init(&store->snapshots);
    memory__marks_init(&store->marks);
    *out = &store->backend;
    return STELE_OK;
}

static void memory_close(struct stele_backend *backend)
{
    struct memory__store *store = store_of(backend);

    memory__marks_fini(&store->marks);
    memory__snapshots_fini(&store->snapshots);
    memory__ledger_fini(&store->ledger);
    memory__log_fini(&store->log);
    pthread_cond_destroy(&store->appended);
    pthread_mutex_destroy(&store->mutex);
    stele__free(store, sizeof(*store));
}

/* --- Appending ------------------------------------------------------------------------------ */

static stele_status view_version(void *context, struct stele_slice name, uint64_t *out, stele_error **error)
{
    const struct memory__store *store = context;
    const struct memory__stream *stream = memory__log_stream(&store->log, name);

    (void)error;
    *out = stream ? stream->events.count : 0;
    return STELE_OK;
}

static stele_status view_find(void *context, const struct stele_record *wanted, struct stele_record *out, bool *found,
                              stele_error **error)
{
    const struct memory__store *store = context;
    const struct stele_record *record = memory__log_find(&store->log, wanted);

    (void)error;
    *found = record != NULL;
    if (record)
        *out = *record;
    return STELE_OK;
}

static stele_status view_behind(void *context, struct stele_slice name, uint64_t version,
                                struct stele_conflict *conflict, stele_error **error)
{
    const struct memory__store *store = context;
    const struct memory__stream *stream = memory__log_stream(&store->log, name);

    (void)error;
    for (size_t i = version; stream && i < stream->events.count; i++) {
        const struct stele_record *record = stream->events.records[i];
        struct stele_conflict_event *event = &conflict->events[conflict->event_count];

        if (conflict->event_count == STELE_CONFLICT_EVENTS_MAX)
            break;
        event->position = record->position;
        event->version = record->version;
        event->type = record->type.data;
        conflict->event_count++;
    }
    return STELE_OK;
}

static stele_status view_command(void *context, const struct stele_command_record *wanted,
                                 struct stele_command_record *out, bool *found, stele_error **error)
{
    const struct memory__store *store = context;
    const struct stele_command_record *entry = memory__ledger_find(&store->ledger, wanted);

    (void)error;
    *found = entry != NULL;
    if (entry)
        *out = *entry;
    return STELE_OK;
}

/* What was entered goes past the companion, as a transaction of its own: behind that, nothing fails. */
static stele_status accompany(struct memory__store *store, struct stele_append_member *member)
{
    struct stele_companion *companion = store->backend.companion;
    const uint64_t head = store->log.events.count;
    stele_status status;

    if (!companion || member->record_count == 0)
        return STELE_OK;
    status = companion->begin(companion, head, &member->error);
    for (size_t i = 0; i < member->record_count && status == STELE_OK; i++)
        status = companion->apply(companion, memory__log_entered(&store->log, i), &member->error);
    if (status == STELE_OK)
        status = companion->commit(companion, head + member->record_count, &member->error);
    companion->end(companion, status == STELE_OK);
    return status;
}

static stele_status write_records(struct memory__store *store, struct stele_append_member *member)
{
    stele_status status;

    if (!memory__log_enter(&store->log, member))
        return stele__fail_memory(&member->error);
    status = accompany(store, member);
    if (status == STELE_OK)
        memory__log_publish(&store->log, member);
    else
        memory__log_take_back(&store->log, member->record_count);
    return status;
}

/* Write what the rules let through: room for the command first, so that nothing fails behind the events. */
static stele_status write_member(struct memory__store *store, struct stele_append_member *member, bool settled)
{
    struct memory__command *command = NULL;
    stele_status status = STELE_OK;

    if (member->command && !member->result.replayed) {
        command = memory__ledger_reserve(&store->ledger, member->command);
        if (!command)
            return stele__fail_memory(&member->error);
    }
    if (!settled)
        status = write_records(store, member);
    if (status != STELE_OK)
        memory__ledger_give_up(&store->ledger, command);
    else if (command)
        memory__ledger_add(&store->ledger, command, &member->result);
    return status;
}

static stele_status append_member(struct memory__store *store, struct stele_append_member *member)
{
    const struct stele_append_view view = {view_version, view_find, view_behind, view_command, store};
    bool settled = false;
    const stele_status status = stele_append_rules(&view, member, &settled);

    return status == STELE_OK ? write_member(store, member, settled) : status;
}

static void memory_append(struct stele_backend *backend, struct stele_append_member *members, size_t count)
{
    struct memory__store *store = store_of(backend);

    pthread_mutex_lock(&store->mutex);
    for (size_t i = 0; i < count; i++)
        members[i].status = append_member(store, &members[i]);
    pthread_cond_broadcast(&store->appended);
    pthread_mutex_unlock(&store->mutex);
}

/* --- Reading --------------------------------------------------------------------------------- */

/* What a scan lets through. Types are interned, so one answer serves a run of events of one type. */
struct filter {
    const struct stele_scan *scan;
    const char *type; /* the last one looked at */
    bool type_matches;
};

static bool matches(struct filter *filter, const struct stele_record *record)
{
    const struct stele_scan *scan = filter->scan;

    if (scan->category.data && !stele__slice_begins_with(record->stream, scan->category))
        return false;
    if (scan->has_until_time && record->time > scan->until_time)
        return false;
    if (!scan->type.data)
        return true;
    if (filter->type != record->type.data) {
        filter->type = record->type.data;
        filter->type_matches = stele_scan_wants(scan, record->type);
    }
    return filter->type_matches;
}

/* The sequence a scan goes along, as it is now. */
static struct memory__sequence snapshot(struct memory__store *store, const struct stele_scan *scan,
                                        struct stele_scan_end *end)
{
    struct memory__sequence sequence = {0};

    pthread_mutex_lock(&store->mutex);
    end->head = store->log.events.count;
    if (scan->stream.data) {
        const struct memory__stream *stream = memory__log_stream(&store->log, scan->stream);

        if (stream)
            sequence = stream->events;
        end->stream_version = sequence.count;
    } else {
        sequence = store->log.events;
    }
    pthread_mutex_unlock(&store->mutex);
    return sequence;
}

static void walk_forwards(const struct memory__sequence *sequence, const struct stele_scan *scan,
                          stele_record_visit *visit, void *context, struct stele_scan_end *end)
{
    const uint64_t last = scan->until < sequence->count ? scan->until : sequence->count;
    struct filter filter = {scan, NULL, false};
    uint64_t left = scan->limit;

    end->last = scan->after;
    while (end->last < last) {
        const struct stele_record *record = sequence->records[end->last++];

        if (matches(&filter, record) && (!visit(context, record) || --left == 0))
            return;
    }
    end->done = true;
}

static void walk_backwards(const struct memory__sequence *sequence, const struct stele_scan *scan,
                           stele_record_visit *visit, void *context, struct stele_scan_end *end)
{
    const uint64_t last = scan->until < sequence->count ? scan->until : sequence->count;
    struct filter filter = {scan, NULL, false};
    uint64_t left = scan->limit;

    end->last = scan->after && scan->after <= last ? scan->after : last + 1;
    while (end->last > 1) {
        const struct stele_record *record = sequence->records[--end->last - 1];

        if (matches(&filter, record) && (!visit(context, record) || --left == 0))
            return;
    }
    end->done = true;
}

static stele_status memory_read(struct stele_backend *backend, const struct stele_scan *scan, stele_record_visit *visit,
                                void *context, struct stele_scan_end *end, stele_error **error)
{
    const struct memory__sequence sequence = snapshot(store_of(backend), scan, end);

    (void)error;
    if (scan->backwards)
        walk_backwards(&sequence, scan, visit, context, end);
    else
        walk_forwards(&sequence, scan, visit, context, end);
    return STELE_OK;
}

static stele_status memory_find(struct stele_backend *backend, const struct stele_record *wanted,
                                stele_record_visit *visit, void *context, stele_error **error)
{
    struct memory__store *store = store_of(backend);
    const struct stele_record *record;

    (void)error;
    pthread_mutex_lock(&store->mutex);
    record = memory__log_find(&store->log, wanted);
    pthread_mutex_unlock(&store->mutex);
    if (record)
        visit(context, record);
    return STELE_OK;
}

/* --- Listing ---------------------------------------------------------------------------------- */

static int compare_streams(const void *left, const void *right)
{
    return stele__slice_compare(((const struct stele_stream *)left)->name, ((const struct stele_stream *)right)->name);
}

static void describe(const struct memory__stream *stream, struct stele_stream *out)
{
    const struct stele_record *first = stream->events.records[0];
    const struct stele_record *last = stream->events.records[stream->events.count - 1];

    out->name = stream->name;
    out->version = stream->events.count;
    out->first_position = first->position;
    out->last_position = last->position;
    out->first_time = first->time;
    out->last_time = last->time;
}

/* All streams of the category, in no order; `streams` has room for all that exist. */
static size_t collect(const struct memory__log *log, const char *category, struct stele_stream *streams)
{
    const struct stele_slice prefix = stele__slice(category);
    struct stele_slice name;
    size_t count = 0;
    size_t at = 0;
    void *value;

    while (stele__map_next(&log->streams, &at, &name, &value)) {
        const struct memory__stream *stream = value;

        if (stream->events.count && (!category || stele__slice_begins_with(name, prefix)))
            describe(stream, &streams[count++]);
    }
    return count;
}

static void visit_streams(const struct stele_stream *streams, size_t count, const struct stele_stream_query *query,
                          stele_stream_visit *visit, void *context)
{
    const struct stele_slice after = stele__slice(query->after);
    uint64_t left = query->limit;

    for (size_t i = 0; i < count && left; i++) {
        const struct stele_stream *stream = &streams[query->backwards ? count - 1 - i : i];
        const int order = query->after ? stele__slice_compare(stream->name, after) : 0;

        if (query->after && (query->backwards ? order >= 0 : order <= 0))
            continue;
        left--;
        if (!visit(context, stream))
            return;
    }
}

static stele_status memory_streams(struct stele_backend *backend, const struct stele_stream_query *query,
                                   stele_stream_visit *visit, void *context, stele_error **error)
{
    struct memory__store *store = store_of(backend);
    struct stele_stream *streams;
    size_t room;
    size_t count = 0;

    pthread_mutex_lock(&store->mutex);
    room = (store->log.stream_count + 1) * sizeof(*streams);
    streams = stele__alloc(room);
    if (streams)
        count = collect(&store->log, query->category, streams);
    pthread_mutex_unlock(&store->mutex);
    if (!streams)
        return stele__fail_memory(error);
    qsort(streams, count, sizeof(*streams), compare_streams);
    visit_streams(streams, count, query, visit, context);
    stele__free(streams, room);
    return STELE_OK;
}

/* --- Waiting, counting, checking --------------------------------------------------------------- */

/* On the system's clock, whatever clock the store was given: the condition waits on that one. */
static struct timespec deadline_in(uint32_t timeout_ms)
{
    const struct stele_clock *clock = stele_clock_system();
    const int64_t deadline = clock->monotonic(clock->context) + (int64_t)timeout_ms * 1000000;
    const struct timespec result = {deadline / 1000000000, deadline % 1000000000};

    return result;
}

static stele_status memory_wait(struct stele_backend *backend, uint64_t position, uint32_t timeout_ms, uint64_t *head,
                                stele_error **error)
{
    struct memory__store *store = store_of(backend);
    const struct timespec deadline = deadline_in(timeout_ms);
    int result = 0;

    pthread_mutex_lock(&store->mutex);
    while (store->log.events.count <= position && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&store->appended, &store->mutex, &deadline);
    *head = store->log.events.count;
    pthread_mutex_unlock(&store->mutex);
    if (*head > position)
        return STELE_OK;
    return stele__fail(error, STELE_TIMEOUT, "no event was appended within %u ms", (unsigned)timeout_ms);
}

static stele_status memory_stats(struct stele_backend *backend, struct stele_stats *out, stele_error **error)
{
    struct memory__store *store = store_of(backend);

    (void)error;
    pthread_mutex_lock(&store->mutex);
    out->events = store->log.events.count;
    out->streams = store->log.stream_count;
    out->types = store->log.types.count;
    out->head = store->log.events.count;
    out->bytes = stele_arena_used(&store->log.arena);
    pthread_mutex_unlock(&store->mutex);
    out->log_bytes = 0;
    out->backend = stele__memory_ops.scheme;
    out->durability = "nothing";
    out->library = stele_version();
    return STELE_OK;
}

static stele_status memory_verify(struct stele_backend *backend, const struct stele_verify_options *options,
                                  struct stele_verified *out, stele_error **error)
{
    struct memory__store *store = store_of(backend);
    bool complete;

    (void)error;
    pthread_mutex_lock(&store->mutex);
    complete = store->log.texts.count + store->log.uuids.count == store->log.events.count;
    pthread_mutex_unlock(&store->mutex);
    if (complete)
        return STELE_OK;
    out->faults++;
    if (options->fault)
        options->fault(options->context, "there are not as many ids as events");
    return STELE_OK;
}

/* --- Commands and snapshots ---------------------------------------------------------------------- */

static stele_status memory_find_command(struct stele_backend *backend, const struct stele_command_record *wanted,
                                        stele_command_visit *visit, void *context, stele_error **error)
{
    struct memory__store *store = store_of(backend);
    const struct stele_command_record *entry;

    (void)error;
    /* The visitor copies a text at most; an entry may be forgotten as soon as the lock is given back. */
    pthread_mutex_lock(&store->mutex);
    entry = memory__ledger_find(&store->ledger, wanted);
    if (entry)
        visit(context, entry);
    pthread_mutex_unlock(&store->mutex);
    return STELE_OK;
}

static stele_status memory_mark_commands(struct stele_backend *backend, const struct stele_retention *retention,
                                         struct stele_command_mark *out, stele_error **error)
{
    struct memory__store *store = store_of(backend);

    (void)error;
    pthread_mutex_lock(&store->mutex);
    *out = memory__ledger_mark(&store->ledger, retention);
    pthread_mutex_unlock(&store->mutex);
    return STELE_OK;
}

static stele_status memory_forget_commands(struct stele_backend *backend, const struct stele_command_mark *mark,
                                           uint64_t most, uint64_t *forgotten, stele_error **error)
{
    struct memory__store *store = store_of(backend);

    (void)error;
    pthread_mutex_lock(&store->mutex);
    *forgotten = memory__ledger_forget(&store->ledger, mark, most);
    pthread_mutex_unlock(&store->mutex);
    return STELE_OK;
}

static stele_status memory_load_snapshot(struct stele_backend *backend, struct stele_slice stream,
                                         stele_snapshot_visit *visit, void *context, stele_error **error)
{
    struct memory__store *store = store_of(backend);
    struct memory__snapshot *snapshot;

    (void)error;
    pthread_mutex_lock(&store->mutex);
    snapshot = memory__snapshots_take(&store->snapshots, stream);
    pthread_mutex_unlock(&store->mutex);
    if (!snapshot)
        return STELE_OK;
    visit(context, &snapshot->content);
    pthread_mutex_lock(&store->mutex);
    memory__snapshot_give(snapshot);
    pthread_mutex_unlock(&store->mutex);
    return STELE_OK;
}

static stele_status save_snapshot(struct memory__store *store, const struct stele_snapshot *snapshot,
                                  stele_error **error)
{
    const struct memory__stream *stream = memory__log_stream(&store->log, snapshot->stream);

    if (!stream) {
        stele__fail(error, STELE_NOT_FOUND, "there is no stream \"%.*s\"", STELE_SLICE(snapshot->stream));
        stele__error_add(error, "stream", "%.*s", STELE_SLICE(snapshot->stream));
        return STELE_NOT_FOUND;
    }
    if (snapshot->version > stream->events.count)
        return stele__fail_argument(error, "snapshot", "its version is beyond that of its stream");
    return memory__snapshots_keep(&store->snapshots, snapshot) ? STELE_OK : stele__fail_memory(error);
}

static stele_status memory_save_snapshot(struct stele_backend *backend, const struct stele_snapshot *snapshot,
                                         stele_error **error)
{
    struct memory__store *store = store_of(backend);
    stele_status status;

    pthread_mutex_lock(&store->mutex);
    status = save_snapshot(store, snapshot, error);
    pthread_mutex_unlock(&store->mutex);
    return status;
}

static stele_status memory_drop_snapshot(struct stele_backend *backend, struct stele_slice stream, stele_error **error)
{
    struct memory__store *store = store_of(backend);

    (void)error;
    pthread_mutex_lock(&store->mutex);
    if (stream.data)
        memory__snapshots_drop(&store->snapshots, stream);
    else
        memory__snapshots_fini(&store->snapshots);
    pthread_mutex_unlock(&store->mutex);
    return STELE_OK;
}

/* --- Checkpoints ---------------------------------------------------------------------------------- */

/* Names go away with their checkpoints, so the visitor, who must not call the store, is called under the lock. */
static stele_status memory_read_checkpoints(struct stele_backend *backend, const char *name,
                                            stele_checkpoint_visit *visit, void *context, stele_error **error)
{
    struct memory__store *store = store_of(backend);

    (void)error;
    pthread_mutex_lock(&store->mutex);
    memory__marks_visit(&store->marks, name, visit, context);
    pthread_mutex_unlock(&store->mutex);
    return STELE_OK;
}

static stele_status memory_write_checkpoint(struct stele_backend *backend, const struct stele_checkpoint *checkpoint,
                                            uint64_t expected, stele_error **error)
{
    struct memory__store *store = store_of(backend);
    stele_status status;

    pthread_mutex_lock(&store->mutex);
    status = stele_checkpoint_rules(checkpoint, expected, memory__marks_position(&store->marks, checkpoint->name),
                                    store->log.events.count, error);
    if (status == STELE_OK && !memory__marks_put(&store->marks, checkpoint))
        status = stele__fail_memory(error);
    pthread_mutex_unlock(&store->mutex);
    return status;
}

static stele_status memory_delete_checkpoint(struct stele_backend *backend, const char *name, bool *found,
                                             stele_error **error)
{
    struct memory__store *store = store_of(backend);

    (void)error;
    pthread_mutex_lock(&store->mutex);
    *found = memory__marks_delete(&store->marks, name);
    pthread_mutex_unlock(&store->mutex);
    return STELE_OK;
}

/* --- Transactions of the front ------------------------------------------------------------------------
 *
 * They are there for a database of views beside the log: of the log's own, only
 * checkpoints are moved, behind all that can fail.
 */

static stele_status memory_begin(struct stele_backend *backend, uint64_t *head, stele_error **error)
{
    struct memory__store *store = store_of(backend);

    (void)error;
    pthread_mutex_lock(&store->mutex);
    *head = store->log.events.count;
    pthread_mutex_unlock(&store->mutex);
    return STELE_OK;
}

static stele_status memory_commit(struct stele_backend *backend, stele_error **error)
{
    (void)backend;
    (void)error;
    return STELE_OK;
}

static void memory_roll_back(struct stele_backend *backend, bool broken)
{
    (void)backend;
    (void)broken;
}

static stele_status memory_position(struct stele_backend *backend, const char *name, uint64_t *position,
                                    stele_error **error)
{
    struct memory__store *store = store_of(backend);

    (void)error;
    pthread_mutex_lock(&store->mutex);
    *position = memory__marks_position(&store->marks, name);
    pthread_mutex_unlock(&store->mutex);
    return STELE_OK;
}

static stele_status memory_move(struct stele_backend *backend, const struct stele_checkpoint *checkpoint,
                                uint64_t expected, stele_error **error)
{
    struct memory__store *store = store_of(backend);
    stele_status status = STELE_OK;

    pthread_mutex_lock(&store->mutex);
    if (memory__marks_position(&store->marks, checkpoint->name) != expected)
        status = stele__fail(error, STELE_CONFLICT, "checkpoint \"%s\" is not where it was any more", checkpoint->name);
    else if (!memory__marks_put(&store->marks, checkpoint))
        status = stele__fail_memory(error);
    pthread_mutex_unlock(&store->mutex);
    return status;
}

static const struct stele_store_transactions memory_transactions = {
    .size = sizeof(struct stele_store_transactions),
    .begin = memory_begin,
    .commit = memory_commit,
    .roll_back = memory_roll_back,
    .read = memory_read,
    .position = memory_position,
    .move = memory_move,
};

/* --- Sizes ---------------------------------------------------------------------------------------- */

static stele_status memory_type_sizes(struct stele_backend *backend, stele_type_size_visit *visit, void *context,
                                      stele_error **error)
{
    static const struct stele_scan everything = {0};
    struct stele_scan_end end;
    const struct memory__sequence sequence = snapshot(store_of(backend), &everything, &end);

    return memory__sum_types(&sequence, visit, context, error);
}

static const struct stele_store_operations memory_operations = {
    .size = sizeof(struct stele_store_operations),
    .type_sizes = memory_type_sizes,
};

const struct stele_store_ops stele__memory_ops = {
    .size = sizeof(struct stele_store_ops),
    .scheme = "memory",
    .open = memory_open,
    .close = memory_close,
    .append = memory_append,
    .read = memory_read,
    .find = memory_find,
    .streams = memory_streams,
    .wait = memory_wait,
    .stats = memory_stats,
    .verify = memory_verify,
    .find_command = memory_find_command,
    .mark_commands = memory_mark_commands,
    .forget_commands = memory_forget_commands,
    .load_snapshot = memory_load_snapshot,
    .save_snapshot = memory_save_snapshot,
    .drop_snapshot = memory_drop_snapshot,
    .read_checkpoints = memory_read_checkpoints,
    .write_checkpoint = memory_write_checkpoint,
    .delete_checkpoint = memory_delete_checkpoint,
    .operations = &memory_operations,
    .transactions = &memory_transactions,
};
