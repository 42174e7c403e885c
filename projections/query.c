/*
 * Queries: understood against the view, turned into SQL, bound.
 *
 *     stele_view_query -> plan: order with the key behind it, page or cursor, all checked
 *         -> SQL: names of the view's own fields, values as ?N -> statement, kept by its text -> bound
 *
 * Text and binding walk the same way, so that the places agree. A cursor's row
 * (v1, v2) makes `a > v1 OR (a IS v1 AND (b > v2))`, turned round for '-', with
 * NULL below every value.
 *
 * What can fail: names that are no fields, values of other kinds, too much of
 * anything, memory.
 */
#include "projections/views.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#include <string.h>

enum { PATTERN_MAX = 1000 /* bytes of a LIKE pattern: matching takes its length times the text's */ };

/* --- Understanding ------------------------------------------------------------------ */

static bool takes_text_only(enum stele_view_operator op)
{
    return op == STELE_VIEW_LIKE || op == STELE_VIEW_STARTS || op == STELE_VIEW_ENDS || op == STELE_VIEW_CONTAINS;
}

/* NULL if the number of values is right. */
static const char *count_fault(const struct stele_view_filter *filter)
{
    switch (filter->op) {
    case STELE_VIEW_IN:
    case STELE_VIEW_NOT_IN: return NULL;
    case STELE_VIEW_IS_NULL:
    case STELE_VIEW_NOT_NULL: return filter->value_count == 0 ? NULL : "IS_NULL and NOT_NULL take no value";
    case STELE_VIEW_BETWEEN: return filter->value_count == 2 ? NULL : "BETWEEN takes two values";
    default: return filter->value_count == 1 ? NULL : "this operator takes one value";
    }
}

static stele_status check_filter(const struct stele_view *view, const struct stele_view_filter *filter,
                                 stele_error **error)
{
    const size_t field = filter->field ? stele__view_field(view->row, stele__slice(filter->field)) : SIZE_MAX;
    const char *fault;

    if (field == SIZE_MAX)
        return stele__view_fault(view, filter->field ? filter->field : "?", "the row has no such field", error);
    if ((unsigned)filter->op > STELE_VIEW_BETWEEN)
        return stele__view_fault(view, filter->field, "the operator is none", error);
    fault = count_fault(filter);
    if (!fault && filter->value_count && !filter->values)
        fault = "its values are NULL";
    if (!fault && takes_text_only(filter->op) && view->row->fields[field].kind != STELE_KIND_TEXT)
        fault = "this operator is for TEXT";
    if (fault)
        return stele__view_fault(view, filter->field, fault, error);
    if (filter->op == STELE_VIEW_LIKE && filter->values[0].kind == STELE_KIND_TEXT && filter->values[0].as.text &&
        strlen(filter->values[0].as.text) > PATTERN_MAX)
        return stele__fail_limit(error, filter->field, strlen(filter->values[0].as.text), PATTERN_MAX, "bytes");
    return STELE_OK;
}

static stele_status check_filters(const struct stele_view *view, const struct stele_view_query *query,
                                  stele_error **error)
{
    size_t values = 0;
    stele_status status = STELE_OK;

    if (query->filter_count && !query->filters)
        return stele__fail_argument(error, "filters", "is NULL");
    if (query->filter_count > STELE_VIEW_FILTERS_MAX)
        return stele__fail_limit(error, "filters", query->filter_count, STELE_VIEW_FILTERS_MAX, "filters");
    for (size_t i = 0; i < query->filter_count && status == STELE_OK; i++) {
        status = check_filter(view, &query->filters[i], error);
        if (status == STELE_OK && query->filters[i].value_count > STELE_VIEW_VALUES_MAX - values)
            status = stele__fail_limit(error, query->filters[i].field, query->filters[i].value_count,
                                       STELE_VIEW_VALUES_MAX - values, "values");
        values += query->filters[i].value_count;
    }
    return status;
}

static bool is_ordered(const struct view_plan *plan, size_t field)
{
    for (size_t i = 0; i < plan->order_count; i++)
        if (plan->order[i].field == field)
            return true;
    return false;
}

static stele_status add_order(const struct stele_view *view, struct stele_slice name, struct view_plan *plan,
                              stele_error **error)
{
    const bool signed_name = name.size && (*name.data == '-' || *name.data == '+');
    const bool descending = signed_name && *name.data == '-';
    char text[STELE_VIEW_NAME_MAX + 1] = {0};
    size_t field;

    if (signed_name)
        name = (struct stele_slice){name.data + 1, name.size - 1};
    memcpy(text, name.data, name.size < STELE_VIEW_NAME_MAX ? name.size : STELE_VIEW_NAME_MAX);
    field = stele__view_field(view->row, name);
    if (field == SIZE_MAX)
        return stele__view_fault(view, text, "the order names it, and the row has no such field", error);
    if (is_ordered(plan, field))
        return stele__view_fault(view, text, "is twice in the order", error);
    plan->order[plan->order_count].field = field;
    plan->order[plan->order_count].descending = descending;
    plan->order_count++;
    return STELE_OK;
}

static stele_status plan_order(const struct view_table *table, struct view_plan *plan, stele_error **error)
{
    const char *rest = plan->query->order && *plan->query->order ? plan->query->order : NULL;
    struct stele_slice name;
    stele_status status = STELE_OK;

    while (status == STELE_OK && stele__view_next_name(&rest, &name))
        status = add_order(table->view, name, plan, error);
    for (size_t i = 0; i < table->key_count && status == STELE_OK; i++) {
        if (is_ordered(plan, table->key[i]))
            continue;
        plan->order[plan->order_count].field = table->key[i];
        plan->order[plan->order_count].descending = false;
        plan->order_count++;
    }
    return status;
}

static stele_status plan_page(struct view_plan *plan, stele_error **error)
{
    const struct stele_view_query *query = plan->query;

    plan->per_page = query->per_page ? query->per_page : STELE_VIEW_PER_PAGE;
    plan->by_cursor = query->after != NULL;
    if (plan->per_page > STELE_VIEW_PER_PAGE_MAX)
        return stele__fail_limit(error, "per_page", plan->per_page, STELE_VIEW_PER_PAGE_MAX, "rows");
    if (plan->by_cursor && query->page)
        return stele__fail_argument(error, "page", "is 0 where a cursor says where to go on");
    if (query->page > INT64_MAX / STELE_VIEW_PER_PAGE_MAX)
        return stele__fail_argument(error, "page", "is too large");
    return STELE_OK;
}

stele_status stele__view_plan(const struct view_table *table, const struct stele_view_query *query, stele_arena *arena,
                              struct view_plan *out, stele_error **error)
{
    static const struct stele_view_query everything;
    stele_status status;

    *out = (struct view_plan){.query = query ? query : &everything};
    status = check_filters(table->view, out->query, error);
    if (status == STELE_OK)
        status = plan_order(table, out, error);
    if (status == STELE_OK)
        status = plan_page(out, error);
    if (status == STELE_OK && out->by_cursor && *out->query->after)
        status = stele__view_cursor_read(table->view, out, out->query->after, arena, &out->cursor, error);
    return status;
}

/* --- Text ------------------------------------------------------------------------------ */

static void write_list(struct stele__buffer *sql, const char *name, const char *word, size_t count, int *place)
{
    stele__buffer_print(sql, "\"%s\" IS NOT NULL AND \"%s\" %s (", name, name, word);
    for (size_t i = 0; i < count; i++)
        stele__buffer_print(sql, "%s?%d", i ? ", " : "", (*place)++);
    stele__buffer_add_text(sql, ")");
}

static void write_filter(struct stele__buffer *sql, const struct stele_view_filter *filter, int *place)
{
    static const char *const comparisons[] = {"=", "<>", "<", "<=", ">", ">="};
    const char *name = filter->field;
    const int first = *place;

    if (filter->op == STELE_VIEW_IN || filter->op == STELE_VIEW_NOT_IN) {
        write_list(sql, name, filter->op == STELE_VIEW_IN ? "IN" : "NOT IN", filter->value_count, place);
        return;
    }
    *place += (int)filter->value_count;
    switch (filter->op) {
    case STELE_VIEW_LIKE: stele__buffer_print(sql, "\"%s\" LIKE ?%d ESCAPE '\\'", name, first); break;
    case STELE_VIEW_STARTS: stele__buffer_print(sql, "substr(\"%s\", 1, length(?%d)) = ?%d", name, first, first); break;
    case STELE_VIEW_ENDS:
        /* substr(x, -0) is all of x */
        stele__buffer_print(sql, "\"%s\" IS NOT NULL AND (?%d = '' OR substr(\"%s\", -length(?%d)) = ?%d)", name, first,
                            name, first, first);
        break;
    case STELE_VIEW_CONTAINS: stele__buffer_print(sql, "instr(\"%s\", ?%d) > 0", name, first); break;
    case STELE_VIEW_IS_NULL: stele__buffer_print(sql, "\"%s\" IS NULL", name); break;
    case STELE_VIEW_NOT_NULL: stele__buffer_print(sql, "\"%s\" IS NOT NULL", name); break;
    case STELE_VIEW_BETWEEN: stele__buffer_print(sql, "\"%s\" BETWEEN ?%d AND ?%d", name, first, first + 1); break;
    default: stele__buffer_print(sql, "\"%s\" %s ?%d", name, comparisons[filter->op], first);
    }
}

/* Behind the value in this field, by the order's direction. */
static void write_behind(struct stele__buffer *sql, const struct stele_field *field, bool descending, bool null,
                         int place)
{
    const bool optional = field->shape == STELE_SHAPE_OPTIONAL;

    if (null)
        stele__buffer_print(sql, descending ? "0" : "\"%s\" IS NOT NULL", field->name);
    else if (!descending)
        stele__buffer_print(sql, "\"%s\" > ?%d", field->name, place);
    else if (!optional)
        stele__buffer_print(sql, "\"%s\" < ?%d", field->name, place);
    else
        stele__buffer_print(sql, "(\"%s\" < ?%d OR \"%s\" IS NULL)", field->name, place, field->name);
}

static void write_cursor(struct stele__buffer *sql, const struct stele_type *row, const struct view_plan *plan,
                         int *place)
{
    struct stele_slice rest = plan->cursor;
    struct view_cursor_value value;

    for (size_t i = 0; i < plan->order_count; i++) {
        const struct stele_field *field = &row->fields[plan->order[i].field];
        const bool descending = plan->order[i].descending;
        bool null;

        stele__view_cursor_next(&rest, &value);
        null = value.type == SQLITE_NULL;
        /* True for all that is behind the cursor, and what an index of the first field is searched by. */
        if (i == 0 && !null && (!descending || field->shape == STELE_SHAPE_ONE))
            stele__buffer_print(sql, "\"%s\" %s ?%d AND ", field->name, descending ? "<=" : ">=", *place);
        stele__buffer_add_text(sql, "(");
        write_behind(sql, field, descending, null, *place);
        if (i + 1 < plan->order_count)
            stele__buffer_print(sql, " OR (\"%s\" IS ?%d AND ", field->name, *place);
        (*place)++;
    }
    for (size_t i = 0; i < plan->order_count; i++)
        stele__buffer_add_text(sql, i ? "))" : ")");
}

static void write_order(struct stele__buffer *sql, const struct stele_type *row, const struct view_plan *plan)
{
    for (size_t i = 0; i < plan->order_count; i++)
        stele__buffer_print(sql, "%s\"%s\"%s", i ? ", " : " ORDER BY ", row->fields[plan->order[i].field].name,
                            plan->order[i].descending ? " DESC" : "");
}

static void write_query(struct stele__buffer *sql, const struct stele_type *row, const struct view_plan *plan,
                        bool counting)
{
    const char *and = " WHERE ";
    int place = 1;

    stele__buffer_add_text(sql, "SELECT ");
    for (size_t i = 0; i < row->field_count && !counting; i++)
        stele__buffer_print(sql, "%s\"%s\"", i ? ", " : "", row->fields[i].name);
    stele__buffer_print(sql, "%s FROM \"%s\"", counting ? "count(*)" : "", row->name);
    for (size_t i = 0; i < plan->query->filter_count; i++) {
        stele__buffer_add_text(sql, and);
        write_filter(sql, &plan->query->filters[i], &place);
        and = " AND ";
    }
    if (counting)
        return;
    if (plan->cursor.data) {
        stele__buffer_add_text(sql, and);
        write_cursor(sql, row, plan, &place);
    }
    write_order(sql, row, plan);
    stele__buffer_print(sql, " LIMIT ?%d OFFSET ?%d", place, place + 1);
}

/* --- Statement --------------------------------------------------------------------------- */

/* The statement of a text, which is freed; a new one takes the place of the oldest. */
static stele_status keep(const stele_views *views, struct view_table *table, struct stele__buffer *sql,
                         sqlite3_stmt **out, stele_error **error)
{
    struct view_kept *place = &table->kept[table->oldest];
    struct view_kept fresh = {0};
    stele_status status = stele__buffer_finish(sql, "the statement", error);

    for (size_t i = 0; i < VIEWS_QUERIES_KEPT && status == STELE_OK; i++) {
        const struct view_kept *kept = &table->kept[i];

        if (kept->sql && stele__slice_equal(stele__slice(kept->sql), stele__buffer_slice(sql))) {
            *out = kept->statement;
            stele__buffer_fini(sql);
            return STELE_OK;
        }
    }
    if (status == STELE_OK) {
        fresh.sql = stele__text_copy_slice(stele__buffer_slice(sql));
        if (!fresh.sql)
            status = stele__fail_memory(error);
    }
    if (status != STELE_OK) {
        stele__buffer_fini(sql);
        return status;
    }
    status = stele__views_prepare(views, table->view, sql, &fresh.statement, error);
    if (status != STELE_OK) {
        stele__text_free(fresh.sql);
        return status;
    }
    sqlite3_finalize(place->statement);
    stele__text_free(place->sql);
    *place = fresh;
    table->oldest = (table->oldest + 1) % VIEWS_QUERIES_KEPT;
    *out = fresh.statement;
    return STELE_OK;
}

static stele_status bind_filters(const stele_views *views, const struct stele_view *view, const struct view_plan *plan,
                                 sqlite3_stmt *statement, int *place, stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; i < plan->query->filter_count; i++) {
        const struct stele_view_filter *filter = &plan->query->filters[i];
        const struct stele_field *field = &view->row->fields[stele__view_field(view->row, stele__slice(filter->field))];

        for (size_t k = 0; k < filter->value_count && status == STELE_OK; k++)
            status = stele__view_bind_value(views, view, field, &filter->values[k], statement, (*place)++, error);
    }
    return status;
}

static int bind_cursor_value(sqlite3_stmt *statement, int place, const struct view_cursor_value *value)
{
    switch (value->type) {
    case SQLITE_INTEGER: return sqlite3_bind_int64(statement, place, value->integer);
    case SQLITE_FLOAT: return sqlite3_bind_double(statement, place, value->real);
    case SQLITE_TEXT:
        return sqlite3_bind_text64(statement, place, value->bytes.data, value->bytes.size, SQLITE_STATIC, SQLITE_UTF8);
    case SQLITE_BLOB: return sqlite3_bind_blob64(statement, place, value->bytes.data, value->bytes.size, SQLITE_STATIC);
    default: return sqlite3_bind_null(statement, place);
    }
}

static stele_status bind_cursor(const stele_views *views, const struct stele_view *view, const struct view_plan *plan,
                                sqlite3_stmt *statement, int *place, stele_error **error)
{
    struct stele_slice rest = plan->cursor;
    struct view_cursor_value value;
    int code = SQLITE_OK;

    for (size_t i = 0; i < plan->order_count && rest.data && code == SQLITE_OK; i++) {
        stele__view_cursor_next(&rest, &value);
        code = bind_cursor_value(statement, (*place)++, &value);
    }
    return code == SQLITE_OK ? STELE_OK : stele__views_fail(views, view, code, "use the table", error);
}

stele_status stele__view_query(const stele_views *views, struct view_table *table, const struct view_plan *plan,
                               bool counting, sqlite3_stmt **out, int *next_place, stele_error **error)
{
    struct stele__buffer sql;
    stele_status status;

    *next_place = 1;
    stele__buffer_init(&sql);
    write_query(&sql, table->view->row, plan, counting);
    status = keep(views, table, &sql, out, error);
    if (status == STELE_OK)
        status = bind_filters(views, table->view, plan, *out, next_place, error);
    if (status == STELE_OK && !counting)
        status = bind_cursor(views, table->view, plan, *out, next_place, error);
    return status;
}
