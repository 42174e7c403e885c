/*
 * Reading in steps.
 *
 *     query -> checked -> struct stele_scan -> backend's read -> visitor
 *                               ^                   |
 *                               +--- what is left <-+
 *
 * What can fail: a malformed query (STELE_INVALID, STELE_LIMIT; the error names
 * the argument), and the backend.
 */
#include "store/scan.h"

#include "base/error.h"
#include "base/text.h"

/* --- The query ----------------------------------------------------------------------- */

static stele_status check_pattern(struct stele_slice pattern, stele_error **error)
{
    if (pattern.size > STELE_TYPE_MAX)
        return stele__fail_limit(error, "query.type", pattern.size, STELE_TYPE_MAX, "bytes");
    if (stele__pattern_check(pattern, error) == STELE_OK)
        return STELE_OK;
    stele__error_add(error, "argument", "query.type");
    stele__error_prefix(error, "query.type");
    return STELE_INVALID;
}

static stele_status check_names(const struct stele_query *query, stele_error **error)
{
    stele_status status = STELE_OK;

    if (query->stream && query->category)
        return stele__fail_argument(error, "query.category", "cannot be asked for together with a stream");
    if (query->stream)
        status = stele__store_check_stream(stele__slice(query->stream), error);
    if (status == STELE_OK && query->category && *query->category)
        status = stele__name_check(stele__slice(query->category), "category", STELE_STREAM_MAX, error);
    if (status == STELE_OK && query->type)
        status = check_pattern(stele__slice(query->type), error);
    return status;
}

static stele_status check_query(const struct stele_query *query, stele_error **error)
{
    stele_status status = stele__options_check(query, sizeof(*query), sizeof(*query), "query", error);

    if (status != STELE_OK || !query)
        return status;
    if (query->after > STELE_VERSION_MAX)
        return stele__fail_argument(error, "query.after", "is beyond STELE_VERSION_MAX");
    if (query->until > STELE_VERSION_MAX)
        return stele__fail_argument(error, "query.until", "is beyond STELE_VERSION_MAX");
    return check_names(query, error);
}

stele_status stele__scan_init(struct stele__scan *scan, const struct stele_query *query, stele_error **error)
{
    static const struct stele_query everything = STELE_OPTIONS_INIT(struct stele_query);
    stele_status status = check_query(query, error);

    if (status != STELE_OK)
        return status;
    if (!query)
        query = &everything;
    *scan = (struct stele__scan){.wanted = {
                                     .stream = stele__slice(query->stream),
                                     .category = stele__slice(query->category),
                                     .type = stele__slice(query->type),
                                     .after = query->after,
                                     .until = query->until ? query->until : STELE_VERSION_MAX,
                                     .has_until_time = query->has_until_time,
                                     .until_time = query->until_time,
                                     .backwards = query->backwards,
                                     .limit = query->limit ? query->limit : UINT64_MAX,
                                 }};
    if (scan->wanted.category.size == 0) /* every name begins with nothing */
        scan->wanted.category.data = NULL;
    return STELE_OK;
}

bool stele_scan_wants(const struct stele_scan *scan, struct stele_slice type)
{
    for (size_t i = 0; i < scan->also_count; i++) {
        if (stele__slice_equal(scan->also[i], type))
            return true;
    }
    return stele__pattern_match(scan->type, type);
}

/* --- The steps ------------------------------------------------------------------------ */

/* The first snapshot says where the log ends: nothing behind that is of this scan. */
static void begin(struct stele__scan *scan, const struct stele_scan_end *end)
{
    const uint64_t last = scan->wanted.stream.data ? end->stream_version : end->head;

    scan->begun = true;
    scan->head.position = end->head;
    scan->head.version = end->stream_version;
    scan->head.exists = end->stream_version != 0;
    if (scan->wanted.until > last)
        scan->wanted.until = last;
}

/* Does a damaged record's place lie ahead, so that reading can go on behind it? */
static bool lies_ahead(const struct stele_scan *wanted, uint64_t place)
{
    if (!wanted->backwards)
        return place > wanted->after;
    return place != 0 && (wanted->after == 0 || place < wanted->after);
}

static void advance(struct stele__scan *scan, const struct stele_scan_end *end, stele_status status)
{
    struct stele_scan *wanted = &scan->wanted;

    wanted->limit -= scan->visited;
    if (status == STELE_CORRUPT ? !lies_ahead(wanted, end->last) : end->done)
        scan->done = true;
    if (wanted->limit == 0 || (wanted->backwards && end->last == 0))
        scan->done = true;
    wanted->after = end->last;
}

stele_status stele__scan_step(const stele_store *store, struct stele__scan *scan, stele_record_visit *visit,
                              void *context, stele_error **error)
{
    struct stele_scan_end end = {0};
    stele_status status;

    scan->visited = 0;
    scan->no_memory = false;
    status = store->ops->read(store->backend, &scan->wanted, visit, context, &end, error);
    if (status == STELE_OK && scan->no_memory)
        return stele__fail_memory(error);
    if (status != STELE_OK && status != STELE_CORRUPT)
        return status;
    if (!scan->begun)
        begin(scan, &end);
    advance(scan, &end, status);
    return status;
}
