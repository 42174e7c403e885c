/* See tally.h. */
#include "tests/support/tally.h"

#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

STELE_DEFINE_VIEW(tally_row, "tally", 1, TALLY, "stream", "events");

/* --- Counting ------------------------------------------------------------------------- */

static void count(struct tally_row *row, const stele_message *event)
{
    const struct stele_slice id = stele_message_id(event);
    uint64_t digest = (uint64_t)row->digest;

    for (size_t i = 0; i < id.size; i++)
        digest = digest * 31 + (unsigned char)id.data[i];
    row->digest = (int64_t)(digest & INT64_MAX);
    row->events++;
    row->position = (int64_t)stele_message_position(event);
}

static stele_status apply(struct stele__part *part, const stele_message *event, stele_error **error)
{
    struct tally *tally = (struct tally *)part;
    const struct stele_slice stream = stele_message_stream(event);
    const struct stele_slice type = stele_message_type(event);
    struct tally_row row = {.stream = stream.data};
    struct tally_row stored;
    stele_error *missing = NULL;
    stele_status status;

    stele_arena_reset(tally->arena);
    status = tally_row_get(part->views, &row, tally->arena, &stored, &missing);
    if (status == STELE_OK)
        row = stored;
    if (status != STELE_OK && status != STELE_NOT_FOUND) {
        *error = missing;
        return status;
    }
    stele_error_free(missing);
    count(&row, event);
    status = tally_row_upsert(part->views, &row, error);
    if (status == STELE_OK && type.size == strlen(TALLY_REFUSED) && memcmp(type.data, TALLY_REFUSED, type.size) == 0)
        return stele__fail(error, STELE_REJECTED, "this event is not counted");
    tally->applied += status == STELE_OK;
    return status;
}

stele_status tally_open(struct tally *tally, stele_store *store, size_t batch, stele_error **error)
{
    stele_status status;

    *tally = (struct tally){.part = {.name = "tally", .apply = apply}, .store = store};
    status = stele_arena_new(&tally->arena, error);
    if (status == STELE_OK)
        status = stele__views_in_store(store, &tally->part.views, error);
    if (status == STELE_OK)
        status = stele_view_create(tally->part.views, &tally_row_view, error);
    if (status == STELE_OK)
        status = stele__part_join(store, &tally->part, batch, error);
    tally->joined = status == STELE_OK;
    if (status != STELE_OK)
        tally_close(tally);
    return status;
}

void tally_close(struct tally *tally)
{
    if (tally->joined)
        stele__part_leave(tally->store, &tally->part);
    stele_views_close(tally->part.views);
    stele_arena_free(tally->arena);
    *tally = (struct tally){.joined = false};
}

/* --- Checking --------------------------------------------------------------------------- */

enum { STREAMS_MAX = 256 };

struct fold {
    struct tally_row rows[STREAMS_MAX];
    size_t count;
};

static struct tally_row *row_of(struct fold *fold, struct stele_slice stream)
{
    for (size_t i = 0; i < fold->count; i++)
        if (strcmp(fold->rows[i].stream, stream.data) == 0)
            return &fold->rows[i];
    if (fold->count == STREAMS_MAX)
        abort();
    fold->rows[fold->count] = (struct tally_row){.stream = strdup(stream.data)};
    return &fold->rows[fold->count++];
}

static bool add_event(void *context, const stele_message *lent)
{
    struct fold *fold = context;
    const struct stele_slice stream = stele_message_stream(lent);

    if (stream.data[0] != '$')
        count(row_of(fold, stream), lent);
    return true;
}

static void free_fold(struct fold *fold)
{
    for (size_t i = 0; i < fold->count; i++)
        free((void *)(uintptr_t)fold->rows[i].stream);
    free(fold);
}

struct comparison {
    const struct fold *fold;
    size_t count;
    char *why;
};

static bool compare(void *context, const struct tally_row *row)
{
    struct comparison *comparison = context;
    const struct fold *fold = comparison->fold;

    comparison->count++;
    for (size_t i = 0; i < fold->count; i++) {
        const struct tally_row *wanted = &fold->rows[i];

        if (strcmp(wanted->stream, row->stream) != 0)
            continue;
        if (wanted->events != row->events || wanted->digest != row->digest || wanted->position != row->position)
            snprintf(comparison->why, TALLY_TEXT,
                     "stream %s: %" PRId64 " events up to position %" PRId64 " counted, %" PRId64 " up to %" PRId64
                     " stored",
                     row->stream, row->events, row->position, wanted->events, wanted->position);
        return comparison->why[0] == '\0';
    }
    snprintf(comparison->why, TALLY_TEXT, "stream %s is counted and not stored", row->stream);
    return false;
}

static void check_rows(stele_store *store, const struct fold *fold, char why[TALLY_TEXT])
{
    struct comparison comparison = {fold, 0, why};
    stele_views *views = NULL;
    stele_error *error = NULL;
    stele_status status = stele_views_of_store(store, &views, &error);

    if (status == STELE_OK)
        status = tally_row_visit(views, NULL, compare, &comparison, &error);
    if (status == STELE_NOT_FOUND)
        status = STELE_OK;
    if (status != STELE_OK)
        snprintf(why, TALLY_TEXT, "the table: %s", stele_error_message(error));
    else if (why[0] == '\0' && comparison.count != fold->count)
        snprintf(why, TALLY_TEXT, "%zu streams are counted, %zu stored", comparison.count, fold->count);
    stele_error_free(error);
    stele_views_close(views);
}

bool tally_is_right(stele_store *store, bool complete, char why[TALLY_TEXT])
{
    struct fold *fold = calloc(1, sizeof(*fold));
    struct stele_stats stats = {.head = 0};
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    uint64_t position = 0;
    stele_error *error = NULL;
    stele_status status = stele_checkpoint_read(store, "tally", &position, &error);

    why[0] = '\0';
    if (status == STELE_NOT_FOUND) {
        stele_error_free(error);
        error = NULL;
        status = STELE_OK;
    }
    query.until = position;
    if (status == STELE_OK && position > 0)
        status = stele__store_visit(store, &query, add_event, fold, NULL, &error);
    if (status == STELE_OK)
        status = stele_stats(store, &stats, &error);
    if (status != STELE_OK)
        snprintf(why, TALLY_TEXT, "%s", stele_error_message(error));
    else if (complete && position != stats.head)
        snprintf(why, TALLY_TEXT, "the checkpoint is at %" PRIu64 ", the head at %" PRIu64, position, stats.head);
    else
        check_rows(store, fold, why);
    stele_error_free(error);
    free_fold(fold);
    return why[0] == '\0';
}
