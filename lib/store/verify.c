/*
 * Checking a whole store.
 *
 *     backend's verify: files, indexes, interned names, the unique index of ids
 *     -> every record, in pages: checksum (by the backend's read), position,
 *        names, attributes, payload, version behind the one before in its stream
 *     -> the head against the one known from outside
 *
 * That ids are unique is the backend's part: its index knows, without a second
 * table of all ids here. A record that cannot be read leaves a gap in its
 * stream's versions; as many missing versions as there are such records are not
 * told again as faults of their own.
 *
 * What can fail: finding faults (STELE_CORRUPT, with all of `out`), memory,
 * and the backend in carrying out the check.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"
#include "base/text.h"
#include "store/record.h"
#include "store/scan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { PAGE = 4096, FAULT_TEXT_SIZE = 2048 };

struct stream_seen {
    uint64_t version;
};

struct verifying {
    struct stele__scan scan;
    struct stele_verify_options options;
    struct stele_verified found;
    struct stele__map streams; /* name to struct stream_seen, both in `arena` */
    struct stele_arena arena;
    uint64_t position; /* of the record before */
    uint64_t unread;   /* records that could not be read, less the gaps they explain */
};

STELE_PRINTF(2, 3)
static void tell_fault(struct verifying *verifying, const char *format, ...)
{
    char text[FAULT_TEXT_SIZE];
    va_list arguments;

    verifying->found.faults++;
    if (!verifying->options.fault)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    verifying->options.fault(verifying->options.context, text);
}

/* --- One record ---------------------------------------------------------------------------- */

static struct stream_seen *see_stream(struct verifying *verifying, struct stele_slice name)
{
    struct stream_seen *seen = stele__map_get(&verifying->streams, name);
    struct stele_slice key = {NULL, name.size};

    if (seen)
        return seen;
    key.data = stele_arena_text(&verifying->arena, name.data, name.size);
    seen = stele__arena_array(&verifying->arena, 1, sizeof(*seen));
    if (!key.data || !seen || !stele__map_put(&verifying->streams, key, seen))
        return NULL;
    verifying->found.streams++;
    return seen;
}

static void check_version(struct verifying *verifying, const struct stele_record *record, struct stream_seen *seen)
{
    const uint64_t gap = record->version - seen->version - 1; /* huge if it is not behind */

    if (record->version > seen->version && gap <= verifying->unread)
        verifying->unread -= gap;
    else
        tell_fault(verifying, "position %" PRIu64 ": version %" PRIu64 " of stream \"%.*s\" follows version %" PRIu64,
                   record->position, record->version, STELE_SLICE(record->stream), seen->version);
    seen->version = record->version;
}

static void check_content(struct verifying *verifying, const struct stele_record *record)
{
    stele_message message;
    stele_error *error = NULL;
    stele_status status = stele__name_check(record->stream, "stream", STELE_STREAM_MAX, &error);

    if (status == STELE_OK)
        status = stele__name_check(record->type, "type", STELE_TYPE_MAX, &error);
    if (status == STELE_OK)
        status = stele__record_to_message(record, &message, &error);
    if (status == STELE_OK && message.format == STELE_PAYLOAD_MSGPACK)
        status = stele_msgpack_check(record->payload, &error);
    if (status != STELE_OK)
        tell_fault(verifying, "position %" PRIu64 ": %s", record->position, stele_error_message(error));
    stele_error_free(error);
}

static bool check_record(void *context, const struct stele_record *record)
{
    struct verifying *verifying = context;
    struct stream_seen *seen = see_stream(verifying, record->stream);

    if (!seen) {
        verifying->scan.no_memory = true;
        return false;
    }
    if (record->position <= verifying->position)
        tell_fault(verifying, "position %" PRIu64 " follows position %" PRIu64, record->position, verifying->position);
    verifying->position = record->position;
    check_version(verifying, record, seen);
    check_content(verifying, record);
    verifying->found.events++;
    verifying->scan.visited++;
    return verifying->found.events % PAGE != 0;
}

/* --- All of them ------------------------------------------------------------------------------ */

static stele_status tell_progress(const struct verifying *verifying, uint64_t all, stele_error **error)
{
    const struct stele_verify_options *options = &verifying->options;

    if (!options->progress || options->progress(options->context, verifying->found.events, all))
        return STELE_OK;
    return stele__fail(error, STELE_TIMEOUT, "the check was stopped after %" PRIu64 " events", verifying->found.events);
}

/* Read on to the end of a page, or behind a record that cannot be read. */
static stele_status check_page(const stele_store *store, struct verifying *verifying, stele_error **error)
{
    stele_error *damage = NULL;
    const stele_status status = stele__scan_step(store, &verifying->scan, check_record, verifying, &damage);

    if (status == STELE_CORRUPT) {
        tell_fault(verifying, "%s", stele_error_message(damage));
        verifying->unread++;
        stele_error_free(damage);
        return STELE_OK;
    }
    if (status != STELE_OK && error)
        *error = damage;
    else
        stele_error_free(damage);
    return status;
}

static stele_status check_records(const stele_store *store, struct verifying *verifying, stele_error **error)
{
    struct stele_stats stats = {0};
    stele_status status = store->ops->stats(store->backend, &stats, error);

    if (status == STELE_OK)
        status = stele__scan_init(&verifying->scan, NULL, error);
    while (status == STELE_OK && !verifying->scan.done) {
        status = check_page(store, verifying, error);
        if (status == STELE_OK)
            status = tell_progress(verifying, stats.events, error);
    }
    return status;
}

static void check_head(struct verifying *verifying)
{
    const uint64_t expected = verifying->options.expect_head;
    const uint64_t head = verifying->scan.head.position;

    if (head < expected)
        tell_fault(verifying, "the store ends at position %" PRIu64 ", but position %" PRIu64 " is known to be written",
                   head, expected);
}

static stele_status verify(const stele_store *store, struct verifying *verifying, stele_error **error)
{
    struct stele_verified below = {0};
    stele_status status = store->ops->verify(store->backend, &verifying->options, &below, error);

    verifying->found.log_commits = below.log_commits;
    verifying->found.faults = below.faults;
    if (status == STELE_OK)
        status = check_records(store, verifying, error);
    if (status != STELE_OK)
        return status;
    check_head(verifying);
    if (verifying->found.faults == 0)
        return STELE_OK;
    return stele__fail(error, STELE_CORRUPT, "the check found %" PRIu64 " fault%s", verifying->found.faults,
                       verifying->found.faults == 1 ? "" : "s");
}

stele_status stele_verify(stele_store *store, const struct stele_verify_options *options, struct stele_verified *out,
                          stele_error **error)
{
    struct verifying verifying = {.options = STELE_OPTIONS_INIT(struct stele_verify_options)};
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK)
        status = stele__options_check(options, sizeof(*options), sizeof(*options), "options", error);
    if (status == STELE_OK && options && options->expect_head > STELE_VERSION_MAX)
        status = stele__fail_argument(error, "options.expect_head", "is beyond STELE_VERSION_MAX");
    if (status != STELE_OK)
        return status;
    if (options)
        verifying.options = *options;
    stele__arena_init(&verifying.arena);
    stele__map_init(&verifying.streams);
    status = verify(store, &verifying, error);
    if (out && (status == STELE_OK || status == STELE_CORRUPT))
        *out = verifying.found;
    stele__map_fini(&verifying.streams);
    stele__arena_fini(&verifying.arena);
    return status;
}
