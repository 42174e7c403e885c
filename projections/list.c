/*
 * Reading many rows: a page, a walk, a count.
 *
 *     query -> plan -> [ count -> ] rows, one more than the page has -> structs, cursor of the last
 *
 * A page's count and rows are read in one transaction. What can fail: the
 * query, a row changed by hand, the file, memory.
 */
#include "projections/views.h"

#include "base/arena.h"
#include "base/error.h"

/* --- Common ---------------------------------------------------------------------------- */

/* A query on its way: its view's table and what it means. */
struct reading {
    stele_views *views;
    struct view_table *table;
    struct view_plan plan;
};

static stele_status prepare_reading(stele_views *views, const struct stele_view *view,
                                    const struct stele_view_query *query, stele_arena *arena, struct reading *out,
                                    stele_error **error)
{
    stele_status status = stele__view_table(views, view, &out->table, error);

    out->views = views;
    return status == STELE_OK ? stele__view_plan(out->table, query, arena, &out->plan, error) : status;
}

static stele_status fail_reading(const struct reading *reading, int code, stele_error **error)
{
    return stele__views_fail(reading->views, reading->table->view, code, "read rows", error);
}

/* The rows' statement, bound. */
static stele_status select_rows(const struct reading *reading, int64_t limit, int64_t offset, sqlite3_stmt **out,
                                stele_error **error)
{
    int place = 0;
    int code;
    stele_status status = stele__view_query(reading->views, reading->table, &reading->plan, false, out, &place, error);

    if (status != STELE_OK)
        return status;
    code = sqlite3_bind_int64(*out, place, limit);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(*out, place + 1, offset);
    return code == SQLITE_OK ? STELE_OK : fail_reading(reading, code, error);
}

static stele_status count_rows(const struct reading *reading, uint64_t *out, stele_error **error)
{
    sqlite3_stmt *row = NULL;
    int place = 0;
    int code;
    stele_status status = stele__view_query(reading->views, reading->table, &reading->plan, true, &row, &place, error);

    if (status != STELE_OK)
        return status;
    code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        *out = (uint64_t)sqlite3_column_int64(row, 0);
    else
        status = fail_reading(reading, code, error);
    sqlite3_reset(row);
    return status;
}

/* --- A page ------------------------------------------------------------------------------ */

static stele_status read_rows(const struct reading *reading, sqlite3_stmt *row, stele_arena *arena,
                              struct stele_view_page *page, stele_error **error)
{
    const struct stele_view *view = reading->table->view;
    const size_t most = reading->plan.per_page;
    char *rows = stele__arena_array(arena, most, view->row->size);
    stele_status status = rows ? STELE_OK : stele__fail_memory(error);
    const char *last = NULL;
    int code = SQLITE_DONE;

    page->rows = rows;
    while (status == STELE_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        if (page->count == most) {
            page->next = last;
            return STELE_OK;
        }
        status = stele__view_read(view, row, arena, rows + page->count * view->row->size, error);
        page->count++;
        if (status == STELE_OK && page->count == most)
            status = stele__view_cursor_write(view, &reading->plan, row, arena, &last, error);
    }
    return status == STELE_OK && code != SQLITE_DONE ? fail_reading(reading, code, error) : status;
}

static stele_status read_page(const struct reading *reading, stele_arena *arena, struct stele_view_page *page,
                              stele_error **error)
{
    const struct view_plan *plan = &reading->plan;
    const uint64_t skipped = plan->query->page > 1 ? (plan->query->page - 1) * plan->per_page : 0;
    sqlite3_stmt *row = NULL;
    stele_status status = STELE_OK;

    if (!plan->by_cursor)
        status = count_rows(reading, &page->total, error);
    page->pages = page->total / plan->per_page + (page->total % plan->per_page != 0);
    if (status == STELE_OK)
        status = select_rows(reading, (int64_t)plan->per_page + 1, (int64_t)skipped, &row, error);
    if (status == STELE_OK)
        status = read_rows(reading, row, arena, page, error);
    sqlite3_reset(row);
    return status;
}

static stele_status list(stele_views *views, const struct stele_view *view, const struct stele_view_query *query,
                         stele_arena *arena, struct stele_view_page *out, stele_error **error)
{
    struct stele_view_page page = {0};
    struct reading reading;
    stele_status status;
    bool alone;

    status = prepare_reading(views, view, query, arena, &reading, error);
    if (status != STELE_OK)
        return status;
    alone = sqlite3_get_autocommit(views->connection->db);
    if (alone)
        status = stele__views_run(views, "BEGIN", "read rows", error);
    if (status != STELE_OK)
        return status;
    status = read_page(&reading, arena, &page, error);
    /* Nothing was written: rolling back cannot lose anything, and cannot fail. */
    if (alone)
        sqlite3_exec(views->connection->db, "ROLLBACK", NULL, NULL, NULL);
    if (status == STELE_OK)
        *out = page;
    return status;
}

stele_status stele_view_list(stele_views *views, const struct stele_view *view, const struct stele_view_query *query,
                             stele_arena *arena, struct stele_view_page *out, stele_error **error)
{
    stele_status status;

    if (!arena || !out)
        return stele__fail_argument(error, arena ? "out" : "arena", "is NULL");
    status = stele__views_enter(views, false, error);
    if (status != STELE_OK)
        return status;
    return stele__views_leave(views, false, list(views, view, query, arena, out, error), error);
}

/* --- A walk --------------------------------------------------------------------------------- */

static stele_status walk(const struct reading *reading, sqlite3_stmt *row,
                         bool (*visit)(void *context, const void *row), void *context, stele_error **error)
{
    const struct stele_view *view = reading->table->view;
    struct stele_arena arena;
    stele_status status = STELE_OK;
    int code = SQLITE_DONE;
    bool more = true;

    stele__arena_init(&arena);
    while (status == STELE_OK && more && (code = sqlite3_step(row)) == SQLITE_ROW) {
        void *lent;

        stele_arena_reset(&arena);
        lent = stele_arena_alloc(&arena, view->row->size);
        status = lent ? stele__view_read(view, row, &arena, lent, error) : stele__fail_memory(error);
        if (status == STELE_OK) {
            reading->views->visiting = true;
            more = visit(context, lent);
            reading->views->visiting = false;
        }
    }
    stele__arena_fini(&arena);
    if (status == STELE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
        status = fail_reading(reading, code, error);
    return status;
}

stele_status stele_view_visit(stele_views *views, const struct stele_view *view, const struct stele_view_query *query,
                              bool (*visit)(void *context, const void *row), void *context, stele_error **error)
{
    struct stele_arena arena;
    struct reading reading;
    sqlite3_stmt *row = NULL;
    stele_status status;

    if (!visit)
        return stele__fail_argument(error, "visit", "is NULL");
    if (query && (query->page || query->per_page))
        return stele__fail_argument(error, query->page ? "page" : "per_page", "is 0 for a visit: it has no pages");
    status = stele__views_enter(views, false, error);
    if (status != STELE_OK)
        return status;
    stele__arena_init(&arena);
    status = prepare_reading(views, view, query, &arena, &reading, error);
    if (status == STELE_OK)
        status = select_rows(&reading, -1, 0, &row, error);
    if (status == STELE_OK)
        status = walk(&reading, row, visit, context, error);
    sqlite3_reset(row);
    stele__arena_fini(&arena);
    return stele__views_leave(views, false, status, error);
}

/* --- A count -------------------------------------------------------------------------------- */

stele_status stele_view_count(stele_views *views, const struct stele_view *view, const struct stele_view_query *query,
                              uint64_t *out, stele_error **error)
{
    struct stele_arena arena;
    struct reading reading;
    stele_status status;

    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    status = stele__views_enter(views, false, error);
    if (status != STELE_OK)
        return status;
    stele__arena_init(&arena);
    status = prepare_reading(views, view, query, &arena, &reading, error);
    if (status == STELE_OK)
        status = count_rows(&reading, out, error);
    stele__arena_fini(&arena);
    return stele__views_leave(views, false, status, error);
}
