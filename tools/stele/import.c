/*
 * stele import: NDJSON CloudEvents in, events appended in the order of the file.
 *
 *   line -> CloudEvent -> stream -> batch -> one atomic append
 *                                  (filled)  (under way)
 *
 * While one batch is committed by the store's thread, the next one is read. It
 * is sent off only when the first is settled, so nothing overtakes anything.
 *
 * Importing again changes nothing. A batch of which nothing or all is stored is
 * settled by the store itself; of one that is stored in part, each event is
 * looked up by its id: the same event counts as already there, another one
 * under that id is a bad line, the rest is appended. When the store refuses a
 * batch because of one event in it, its events go in one by one, so that the
 * refusal has a line and what stood before it is kept.
 *
 * A bad line ends the import, or is counted and told with --skip-bad.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "batch.h"
#include "input.h"
#include "output.h"
#include "progress.h"
#include "tool.h"

static const char name[] = "import";

enum { KEY_SKIP_BAD = ARGS_FIRST_OWN, KEY_BATCH_SIZE, BATCH_SIZE_DEFAULT = 1000 };

/* How the import stands. */
enum state {
    GOING_ON,
    STOPPED, /* at a bad line */
    FAILED   /* the store or the input failed; told */
};

/* What became of the batch under way; written by the store's thread, read behind stele_flush(). */
struct landing {
    stele_status status;
    struct stele_appended result;
    char *reason; /* NULL if it went well */
};

struct import {
    const char *db;
    const char *path;   /* NULL for standard input */
    const char *stream; /* for events that name none */
    size_t batch_size;
    bool skip_bad;

    stele_store *store;
    struct input *input;
    struct batch batches[2];
    struct batch *batch;     /* being filled */
    struct batch *under_way; /* or empty */
    struct landing landing;
    struct progress progress;
    uint64_t imported;
    uint64_t present; /* were there already */
    uint64_t bad;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct import *import = state->input;
    const char **const places[] = {&import->db, &import->path};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case 's': import->stream = argument; return 0;
    case KEY_SKIP_BAD: import->skip_bad = true; return 0;
    case KEY_BATCH_SIZE:
        import->batch_size = (size_t)args_number(state, "--batch-size", argument, 1, STELE_BATCH_EVENTS_MAX);
        return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 2); return 0;
    case ARGP_KEY_END: args_require(state, 1, "DB"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"stream", 's', "STREAM", 0, "The stream of events that have neither a stream nor a subject", 0},
    {"skip-bad", KEY_SKIP_BAD, NULL, 0, "Tell bad lines and go on; the exit status is then 3", 0},
    {"batch-size", KEY_BATCH_SIZE, "N", 0, "Events of one commit (default: 1000)", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "DB [FILE]",
    .doc = "Append the CloudEvents of FILE or standard input, one a line, as JSON. The store is created if it is "
           "not there. Events keep their ids, and importing them again changes nothing.\v"
           "An event goes to the stream that its extension `stream' names, else its subject, else --stream.",
};

static enum state bad_line(struct import *import, uint64_t line, const char *reason)
{
    progress_clear(&import->progress);
    tool_say(name, "line %" PRIu64 ": %s%s", line, reason, import->skip_bad ? " (skipped)" : "");
    import->bad++;
    return import->skip_bad ? GOING_ON : STOPPED;
}

static enum state bad_event(struct import *import, uint64_t line, stele_error *error)
{
    const enum state state = bad_line(import, line, stele_error_message(error));
    stele_error_free(error);
    return state;
}

static enum state store_failed(struct import *import, stele_error *error)
{
    progress_clear(&import->progress);
    tool_fail(name, error);
    return FAILED;
}

static enum state store_refused(struct import *import, const char *reason)
{
    progress_clear(&import->progress);
    tool_say(name, "%s", reason);
    return FAILED;
}

static void count(struct import *import, size_t events, const struct stele_appended *result)
{
    if (result->repeated)
        import->present += events;
    else
        import->imported += events;
}

/* Whether a status is about the event, not about the store. */
static bool is_about_event(stele_status status)
{
    return status == STELE_INVALID || status == STELE_LIMIT || status == STELE_ID_REUSE || status == STELE_DELETED ||
           status == STELE_MALFORMED;
}

static enum state append_one_by_one(struct import *import, const struct batch_entry *entries, size_t entry_count)
{
    enum state state = GOING_ON;
    for (size_t i = 0; i < entry_count && state == GOING_ON; i++) {
        struct stele_appended result;
        stele_error *error = NULL;
        const stele_status status = batch_append(import->store, &entries[i], 1, &result, &error);
        if (status == STELE_OK)
            count(import, 1, &result);
        else if (is_about_event(status))
            state = bad_event(import, entries[i].line, error);
        else
            state = store_failed(import, error);
    }
    return state;
}

static bool is_same_text(struct stele_slice left, struct stele_slice right)
{
    return left.size == right.size && (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

/* The same as the store means it: stream, type, payload. */
static bool is_same_event(const struct batch_entry *entry, const stele_message *stored)
{
    const struct stele_slice stream = {entry->stream, strlen(entry->stream)};
    return is_same_text(stream, stele_message_stream(stored)) &&
           is_same_text(stele_message_type(entry->event), stele_message_type(stored)) &&
           stele_message_type_version(entry->event) == stele_message_type_version(stored) &&
           stele_message_format(entry->event) == stele_message_format(stored) &&
           is_same_text(stele_message_payload(entry->event), stele_message_payload(stored));
}

static enum state other_event(struct import *import, const struct batch_entry *entry, const stele_message *stored)
{
    char *reason = NULL;
    const struct stele_slice id = stele_message_id(entry->event);
    const struct stele_slice stream = stele_message_stream(stored);
    if (asprintf(&reason, "id %.*s is stored already as another event: position %" PRIu64 ", stream %.*s",
                 STELE_SLICE(id), stele_message_position(stored), STELE_SLICE(stream)) < 0)
        tool_have(NULL);
    const enum state state = bad_line(import, entry->line, reason);
    free(reason);
    return state;
}

/* Look one event up. `*is_new` if the store has none of its id. */
static enum state look_up(struct import *import, const struct batch_entry *entry, bool *is_new)
{
    char *id = tool_text(stele_message_id(entry->event).data, stele_message_id(entry->event).size);
    stele_message *stored = NULL;
    stele_error *error = NULL;
    enum state state = GOING_ON;
    const stele_status status = stele_find(import->store, id, &stored, &error);
    *is_new = status == STELE_NOT_FOUND;
    if (*is_new)
        stele_error_free(error);
    else if (status != STELE_OK)
        state = store_failed(import, error);
    else if (is_same_event(entry, stored))
        import->present++;
    else
        state = other_event(import, entry, stored);
    stele_message_unref(stored);
    free(id);
    return state;
}

static enum state append_new(struct import *import, const struct batch_entry *entries, size_t entry_count)
{
    struct stele_appended result;
    stele_error *error = NULL;
    if (entry_count == 0)
        return GOING_ON;
    const stele_status status = batch_append(import->store, entries, entry_count, &result, &error);
    if (status == STELE_OK) {
        count(import, entry_count, &result);
        return GOING_ON;
    }
    if (!is_about_event(status))
        return store_failed(import, error);
    stele_error_free(error);
    return append_one_by_one(import, entries, entry_count);
}

/* A batch of which a part is stored: what is new goes in together, up to the first bad line if that is the end. */
static enum state append_missing(struct import *import)
{
    const struct batch *batch = import->under_way;
    struct batch_entry *fresh = tool_resize(NULL, batch->count * sizeof(*fresh));
    size_t fresh_count = 0;
    enum state looked = GOING_ON;
    for (size_t i = 0; i < batch->count && looked == GOING_ON; i++) {
        bool is_new = false;
        looked = look_up(import, &batch->entries[i], &is_new);
        if (is_new)
            fresh[fresh_count++] = batch->entries[i];
    }
    const enum state appended = looked == FAILED ? FAILED : append_new(import, fresh, fresh_count);
    free(fresh);
    return appended != GOING_ON ? appended : looked;
}

static void land(void *context, stele_status status, const struct stele_appended *result, const stele_error *error)
{
    struct landing *landing = context;
    *landing = (struct landing){.status = status};
    if (result != NULL)
        landing->result = *result;
    else
        landing->reason = tool_text(stele_error_message(error), strlen(stele_error_message(error)));
}

static enum state judge(struct import *import)
{
    const struct batch *batch = import->under_way;
    const struct landing *landing = &import->landing;
    if (landing->status == STELE_OK)
        count(import, batch->count, &landing->result);
    else if (!is_about_event(landing->status))
        return store_refused(import, landing->reason);
    else if (landing->status == STELE_ID_REUSE)
        return append_missing(import);
    else
        return append_one_by_one(import, batch->entries, batch->count);
    return GOING_ON;
}

/* Wait for the batch under way, and see to what could not be stored of it. */
static enum state settle(struct import *import)
{
    stele_error *error = NULL;
    if (import->under_way->count == 0)
        return GOING_ON;
    const enum state state =
        stele_flush(import->store, &error) == STELE_OK ? judge(import) : store_failed(import, error);
    free(import->landing.reason);
    import->landing.reason = NULL;
    batch_clear(import->under_way);
    progress_show(&import->progress, import->imported + import->present, input_done(import->input),
                  input_total(import->input));
    return state;
}

/* Settle the batch under way and send off the filled one. */
static enum state send(struct import *import)
{
    struct batch *filled = import->batch;
    stele_error *error = NULL;
    const enum state state = settle(import);
    if (state != GOING_ON || filled->count == 0)
        return state;
    import->batch = import->under_way;
    import->under_way = filled;
    const stele_status status = batch_append_async(import->store, filled, land, &import->landing, &error);
    if (status != STELE_OK)
        land(&import->landing, status, NULL, error);
    stele_error_free(error);
    return GOING_ON;
}

static enum state flush(struct import *import)
{
    const enum state state = send(import);
    return state == GOING_ON ? settle(import) : state;
}

/* What stands before a bad line is stored before the line is told. */
static enum state flush_before_bad_line(struct import *import, uint64_t line, const char *reason)
{
    const enum state state = flush(import);
    return state == GOING_ON ? bad_line(import, line, reason) : state;
}

/* The stream an event goes to; NULL with the reason if it names none that is allowed. The caller frees it. */
static char *stream_of(const struct import *import, const stele_message *event, const char **reason)
{
    struct stele_slice stream = stele_message_stream(event);
    if (stream.data == NULL)
        stream = stele_message_subject(event);
    if (stream.data == NULL && import->stream != NULL)
        stream = (struct stele_slice){import->stream, strlen(import->stream)};
    *reason = NULL;
    if (stream.data == NULL)
        *reason = "the event names no stream: it has neither a stream nor a subject, and --stream is not given";
    else if (stream.size > 0 && stream.data[0] == '$')
        *reason = "stream names that begin with $ are the library's own";
    return *reason == NULL ? tool_text(stream.data, stream.size) : NULL;
}

static enum state take_event(struct import *import, stele_message *event, uint64_t line)
{
    const char *reason = NULL;
    char *stream = stream_of(import, event, &reason);
    enum state state = GOING_ON;
    if (stream == NULL)
        state = flush_before_bad_line(import, line, reason);
    else if (batch_add(import->batch, event, stream, line))
        return GOING_ON;
    else
        state = send(import);
    if (stream != NULL && state == GOING_ON && batch_add(import->batch, event, stream, line))
        return GOING_ON;
    free(stream);
    stele_message_unref(event);
    return state;
}

static bool is_blank(struct stele_slice line)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t')
            return false;
    }
    return true;
}

static enum state take_line(struct import *import, struct stele_slice text)
{
    const uint64_t line = input_number(import->input);
    if (is_blank(text))
        return GOING_ON;
    stele_message *event = NULL;
    stele_error *error = NULL;
    if (stele_cloudevent_decode(text, STELE_PAYLOAD_MAX, &event, &error) == STELE_OK)
        return take_event(import, event, line);
    const enum state state = flush_before_bad_line(import, line, stele_error_message(error));
    stele_error_free(error);
    return state;
}

static enum state take_lines(struct import *import)
{
    struct stele_slice line;
    enum state state = GOING_ON;
    while (state == GOING_ON) {
        switch (input_line(import->input, &line)) {
        case INPUT_LINE: state = take_line(import, line); break;
        case INPUT_LONG:
            state = flush_before_bad_line(import, input_number(import->input), "longer than 24 MiB");
            break;
        case INPUT_END: return flush(import);
        case INPUT_FAILED:
            tool_say(name, "%s: %s", import->path != NULL ? import->path : "standard input",
                     strerror(input_error(import->input)));
            flush(import);
            return FAILED;
        }
    }
    return state;
}

static int finish(struct import *import, enum state state)
{
    progress_clear(&import->progress);
    if (state != GOING_ON) {
        tool_say(name, "stopped; %" PRIu64 " imported, %" PRIu64 " already there", import->imported, import->present);
        return TOOL_FAILED;
    }
    output_format("%" PRIu64 " imported, %" PRIu64 " already there", import->imported, import->present);
    if (import->bad > 0)
        output_format(", %" PRIu64 " bad line%s skipped", import->bad, import->bad == 1 ? "" : "s");
    output_text("\n");
    return import->bad > 0 ? TOOL_BAD_LINES : TOOL_DONE;
}

int command_import(int argc, char **argv)
{
    struct import import = {.batch_size = BATCH_SIZE_DEFAULT};
    args_parse(&argp, argc, argv, &import);
    import.input = input_open(import.path);
    if (import.input == NULL) {
        tool_say(name, "%s: %s", import.path != NULL ? import.path : "standard input", strerror(errno));
        return TOOL_FAILED;
    }
    int status = TOOL_FAILED;
    import.store = tool_open(name, import.db, STELE_OPEN_CREATE);
    if (import.store != NULL) {
        for (size_t i = 0; i < 2; i++)
            batch_init(&import.batches[i], import.batch_size);
        import.batch = &import.batches[0];
        import.under_way = &import.batches[1];
        progress_start(&import.progress);
        status = finish(&import, take_lines(&import));
        for (size_t i = 0; i < 2; i++)
            batch_fini(&import.batches[i]);
        stele_store_close(import.store);
    }
    input_close(import.input);
    return status;
}
