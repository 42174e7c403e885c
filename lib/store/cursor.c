/*
 * Cursors: the log in pages.
 *
 *     backend's row -> record, copied into the page -> lent messages (reading.h) -> user
 *
 * A page is filled in one step of the scan, which holds a transaction only as
 * long as that takes; while user code looks at the messages nothing is held.
 * The first page is small and read at once, because it fixes the head; later
 * ones grow. A damaged row ends its page: the good ones before it come first,
 * then the error, then what is behind it.
 *
 * What can fail: the query, the backend, memory. After STELE_NO_MEMORY or
 * STELE_BUSY the same step may be tried again.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "store/reading.h"

#include <string.h>

enum {
    PAGE_FIRST = 32, /* records of the first page */
    PAGE_GROWTH = 4,
    PAGE_MOST = 256,
    PAGE_BYTES = 256 * 1024 /* a page ends behind the record that reaches this */
};

struct stele_cursor {
    stele_store *store;
    struct stele__scan scan;
    struct stele_arena texts; /* of the query */
    struct stele_arena bytes; /* of the page's records */
    struct stele_record *records;
    size_t capacity;
    size_t count;
    size_t next;        /* the record to read next */
    stele_status fault; /* comes behind the page's records */
    stele_error *fault_error;
    uint64_t left;     /* of the limit, counting what was returned */
    uint64_t position; /* of the event returned last */
    struct stele__reading reading;
    size_t lent; /* messages, of what the last record is read as */
};

/* --- Pages ----------------------------------------------------------------------------- */

static struct stele_slice place(char **at, struct stele_slice from, size_t terminator)
{
    const struct stele_slice copy = {*at, from.size};

    if (!from.data)
        return from;
    if (from.size)
        memcpy(*at, from.data, from.size);
    memset(*at + from.size, 0, terminator);
    *at += from.size + terminator;
    return copy;
}

static bool copy_record(struct stele_arena *arena, const struct stele_record *record, struct stele_record *out)
{
    const size_t size =
        record->stream.size + record->type.size + record->id.size + record->meta.size + record->payload.size + 3;
    char *at = stele__arena_alloc(arena, size);

    if (!at)
        return false;
    *out = *record;
    out->stream = place(&at, record->stream, 1);
    out->type = place(&at, record->type, 1);
    out->id = place(&at, record->id, 1);
    out->meta = place(&at, record->meta, 0);
    out->payload = place(&at, record->payload, 0);
    return true;
}

static bool take_record(void *context, const struct stele_record *record)
{
    stele_cursor *cursor = context;

    if (!copy_record(&cursor->bytes, record, &cursor->records[cursor->count])) {
        cursor->scan.no_memory = true;
        return false;
    }
    cursor->count++;
    cursor->scan.visited++;
    return cursor->count < cursor->capacity && cursor->count < cursor->left &&
           stele_arena_used(&cursor->bytes) < PAGE_BYTES;
}

static void empty_page(stele_cursor *cursor)
{
    cursor->next = 0;
    cursor->count = 0;
    stele_arena_reset(&cursor->bytes);
}

static bool grow_page(stele_cursor *cursor)
{
    const size_t wanted = cursor->capacity ? cursor->capacity * PAGE_GROWTH : PAGE_FIRST;
    const size_t capacity = wanted < PAGE_MOST ? wanted : PAGE_MOST;
    struct stele_record *records;

    if (capacity == cursor->capacity)
        return true;
    records = stele__resize(cursor->records, cursor->capacity * sizeof(*records), capacity * sizeof(*records));
    if (!records)
        return false;
    cursor->records = records;
    cursor->capacity = capacity;
    return true;
}

/* Replace the page by the next one. What fails comes behind its records, which are none unless a row is damaged. */
static void fill_page(stele_cursor *cursor)
{
    stele_status status = STELE_OK;

    empty_page(cursor);
    if (!grow_page(cursor))
        status = stele__fail_memory(&cursor->fault_error);
    while (status == STELE_OK && cursor->count == 0 && !cursor->scan.done)
        status = stele__scan_step(cursor->store, &cursor->scan, take_record, cursor, &cursor->fault_error);
    if (status != STELE_OK && status != STELE_CORRUPT)
        empty_page(cursor);
    cursor->fault = status;
}

static stele_status tell_fault(stele_cursor *cursor, stele_error **error)
{
    const stele_status status = cursor->fault;

    if (error)
        *error = cursor->fault_error;
    else
        stele_error_free(cursor->fault_error);
    cursor->fault = STELE_OK;
    cursor->fault_error = NULL;
    return status;
}

/* --- Opening and closing ----------------------------------------------------------------- */

static bool keep_text(struct stele_arena *arena, struct stele_slice *text)
{
    if (text->data)
        text->data = stele_arena_text(arena, text->data, text->size);
    return text->data || !text->size;
}

static void free_cursor(stele_cursor *cursor)
{
    stele__reading_fini(&cursor->reading);
    stele__arena_fini(&cursor->texts);
    stele__arena_fini(&cursor->bytes);
    stele__free(cursor->records, cursor->capacity * sizeof(*cursor->records));
    stele_error_free(cursor->fault_error);
    stele__free(cursor, sizeof(*cursor));
}

static stele_status open_cursor(stele_store *store, const struct stele__scan *scan, stele_cursor **out,
                                stele_error **error)
{
    stele_cursor *cursor = stele__alloc(sizeof(*cursor));

    if (!cursor)
        return stele__fail_memory(error);
    cursor->store = store;
    cursor->scan = *scan;
    cursor->left = scan->wanted.limit;
    if (!keep_text(&cursor->texts, &cursor->scan.wanted.stream) ||
        !keep_text(&cursor->texts, &cursor->scan.wanted.category) ||
        !keep_text(&cursor->texts, &cursor->scan.wanted.type)) {
        free_cursor(cursor);
        return stele__fail_memory(error);
    }
    if (stele__reading_init(&cursor->reading, store, &cursor->scan, error) != STELE_OK) {
        free_cursor(cursor);
        return STELE_NO_MEMORY;
    }
    *out = cursor;
    return STELE_OK;
}

stele_status stele_read(stele_store *store, const struct stele_query *query, stele_cursor **out, stele_error **error)
{
    stele_cursor *cursor = NULL;
    struct stele__scan scan;
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK && !out)
        status = stele__fail_argument(error, "out", "is NULL");
    if (status == STELE_OK)
        status = stele__scan_init(&scan, query, error);
    if (status == STELE_OK)
        status = open_cursor(store, &scan, &cursor, error);
    if (status != STELE_OK)
        return status;
    fill_page(cursor);
    if (cursor->fault == STELE_OK || (cursor->fault == STELE_CORRUPT && cursor->scan.begun && !cursor->scan.done)) {
        *out = cursor;
        return STELE_OK;
    }
    status = tell_fault(cursor, error);
    free_cursor(cursor);
    return status;
}

void stele_cursor_close(stele_cursor *cursor)
{
    if (cursor && stele__store_check(cursor->store, NULL) == STELE_OK)
        free_cursor(cursor);
}

/* --- Stepping ----------------------------------------------------------------------------- */

/* What an event is read as is lent as a whole: its last part may exceed the limit. One that cannot be read counts too. */
static stele_status read_next(stele_cursor *cursor, stele_error **error)
{
    const struct stele_record *record = &cursor->records[cursor->next];
    struct stele__reading *reading = &cursor->reading;
    const stele_status status = stele__reading_take(reading, record, error);
    const uint64_t taken = status == STELE_OK ? reading->count : 1;

    cursor->lent = 0;
    if (status != STELE_OK)
        reading->count = 0;
    if (status == STELE_NO_MEMORY)
        return status;
    cursor->next++;
    cursor->position = record->position;
    cursor->left -= taken < cursor->left ? taken : cursor->left;
    return status;
}

/* Is there another record in the page, or in the next one? */
static bool has_record(stele_cursor *cursor)
{
    while (cursor->next == cursor->count && cursor->fault == STELE_OK && !cursor->scan.done)
        fill_page(cursor);
    return cursor->next < cursor->count;
}

stele_status stele_cursor_next(stele_cursor *cursor, const stele_message **out, stele_error **error)
{
    stele_status status;

    if (!cursor)
        return stele__fail_argument(error, "cursor", "is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    status = stele__store_check(cursor->store, error);
    if (status != STELE_OK)
        return status;
    while (cursor->lent == cursor->reading.count) {
        if (cursor->left == 0 || !has_record(cursor)) {
            if (cursor->left > 0 && cursor->fault != STELE_OK)
                return tell_fault(cursor, error);
            *out = NULL;
            return STELE_OK;
        }
        status = read_next(cursor, error);
        if (status != STELE_OK)
            return status;
    }
    *out = &cursor->reading.messages[cursor->lent++];
    return STELE_OK;
}

struct stele_head stele_cursor_head(const stele_cursor *cursor)
{
    struct stele_head head = {0};

    if (!cursor)
        return head;
    head = cursor->scan.head;
    if (cursor->left == 0)
        head.position = cursor->position;
    return head;
}
