/*
 * stele/view.h - read models: tables made from a field list, in a file of their own.
 *
 * A view is a constant table that says what its rows are, by which fields one
 * is found, and what is indexed:
 *
 *     @example view
 *     #define BALANCE(FIELD, T) \
 *         FIELD(T, TEXT, account, STELE_NON_EMPTY) \
 *         FIELD(T, TEXT, currency, STELE_MAX_LENGTH(3)) \
 *         FIELD(T, INT64, amount) \
 *         FIELD(T, OPTIONAL(TIME), closed)
 *     STELE_DECLARE_VIEW(balance, BALANCE);
 *     STELE_DEFINE_VIEW(balance, "balance", 1, BALANCE, "account,currency", "amount", "closed,amount");
 *
 *     stele_status show_rich(stele_views *views, stele_arena *arena, stele_error **error)
 *     {
 *         const struct balance row = {.account = "a-1", .currency = "EUR", .amount = 500};
 *         const struct stele_view_filter rich[] = {STELE_FILTER("amount", STELE_VIEW_GE, stele_view_int64(100))};
 *         const struct stele_view_query query = {.filters = rich, .filter_count = 1, .order = "-amount"};
 *         struct balance_page page;
 *         stele_status status = stele_view_create(views, &balance_view, error);
 *
 *         if (status == STELE_OK)
 *             status = balance_upsert(views, &row, error);
 *         if (status == STELE_OK)
 *             status = balance_list(views, &query, arena, &page, error);
 *         for (size_t i = 0; status == STELE_OK && i < page.count; i++)
 *             printf("%s %" PRId64 "\n", page.rows[i].account, page.rows[i].amount);
 *         return status;
 *     }
 *     @end
 *
 * STELE_DECLARE_VIEW, in a header, makes `struct balance` and the typed
 * functions balance_upsert(), balance_get(), balance_delete(), balance_list()
 * and balance_visit(); STELE_DEFINE_VIEW, in one .c file, makes `balance_view`.
 * There is no more to it: no relations, no lazy loading, no query language.
 *
 * How kinds are stored, so that anybody can read the file with SQL:
 *
 *   BOOL, INT64, TIME   INTEGER; a time in nanoseconds
 *   UINT64              INTEGER; a value above 2^63-1 is refused with STELE_LIMIT, when written and in filters
 *   DOUBLE              REAL; -0.0 comes back as 0.0
 *   TEXT, UUID          TEXT, ordered by its bytes; a UUID in its 36 lower-case characters
 *   BYTES               BLOB
 *
 * OPTIONAL of these is a column that may be NULL. Structs and lists have no
 * place in a row: such a view is refused (STELE_INVALID). The rules of the
 * fields are checked when a row is written.
 *
 * Errors have "view" and, where one is at fault, "field".
 */
#ifndef STELE_VIEW_H
#define STELE_VIEW_H

#include <stele/base.h>
#include <stele/error.h>
#include <stele/memory.h>
#include <stele/store.h>
#include <stele/type.h>
#include <stele/uuid.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STELE_VIEW_NAME_MAX 64       /* bytes of a view's or field's name */
#define STELE_VIEW_FIELDS_MAX 64     /* of a row, and of one order */
#define STELE_VIEW_FILTERS_MAX 64    /* of one query */
#define STELE_VIEW_VALUES_MAX 1000   /* in the filters of one query together */
#define STELE_VIEW_PER_PAGE 20       /* rows, by default */
#define STELE_VIEW_PER_PAGE_MAX 1000 /* rows of a page */

/* --- The file ------------------------------------------------------------------ */

/*
 * An SQLite file of views, open. Used by one thread at a time; a thread that
 * reads beside it opens a handle of its own. One process at a time should
 * write; a second one waits for its turn.
 */
typedef struct stele_views stele_views;

struct stele_views_options {
    size_t size;
    enum stele_open_mode mode; /* default STELE_OPEN_CREATE */
    uint32_t busy_ms;          /* how long to wait for a lock; default 5000 */
};

/*
 * Open the file at `path`. A new one is readable by its owner alone. Commits
 * survive the end of the process; the last ones may be lost when the machine
 * fails, always whole ones and in order (a checkpoint kept in the same file
 * goes back with them).
 *
 * STELE_NOT_FOUND; STELE_FOREIGN if it is another program's database, has
 * triggers or SQL views in it, or is no database; STELE_READ_ONLY,
 * STELE_DENIED, STELE_BUSY, STELE_IO, STELE_NO_MEMORY.
 */
STELE_API stele_status stele_views_open(const char *path, const struct stele_views_options *options, stele_views **out,
                                        stele_error **error);
/*
 * The same for the views in a store itself (projections IN_STORE, stele/projection.h), to be read: a handle beside everybody
 * else, closed before the store. In a store in memory it waits for appends, and inside a transaction of its thread it sees
 * what that has written. STELE_INVALID if the backend has no room for views.
 */
STELE_API stele_status stele_views_of_store(stele_store *store, stele_views **out, stele_error **error);
/* Close; what was begun is rolled back. NULL is allowed. */
STELE_API void stele_views_close(stele_views *views);

/*
 * A transaction: what is written from here on takes effect together, and is
 * faster (one write of the file instead of one each). Outside of one every
 * call is a transaction of its own. STELE_BUSY if another handle writes;
 * STELE_INVALID for one inside another, or none to end. When commit fails,
 * the transaction is rolled back.
 *
 * A write that fails inside a transaction takes back itself alone, or, when
 * the file or memory failed it (STELE_FULL, STELE_IO, STELE_NO_MEMORY), perhaps
 * the whole: then every write is STELE_INVALID until stele_views_rollback().
 */
STELE_API stele_status stele_views_begin(stele_views *views, stele_error **error);
STELE_API stele_status stele_views_commit(stele_views *views, stele_error **error);
STELE_API stele_status stele_views_rollback(stele_views *views, stele_error **error);

/* --- The table ------------------------------------------------------------------- */

/* Made by STELE_DEFINE_VIEW; constant. */
struct stele_view {
    const struct stele_type *row; /* its name is the table's, its version the view's */
    const char *key;              /* fields, separated by commas; none of them optional */
    const char *const *indexes;   /* fields of each, as in `key`; NULL at the end */
};

/* The struct of a row, its view and its typed functions, which are those below. */
#define STELE_DECLARE_VIEW(name, FIELDS) \
    STELE_DECLARE_STRUCT(name, FIELDS); \
    extern const struct stele_view name##_view; \
    struct name##_page { \
        const struct name *rows; \
        size_t count; \
        uint64_t total; \
        uint64_t pages; \
        const char *next; \
    }; \
    struct name##_visitor { \
        bool (*visit)(void *context, const struct name *row); \
        void *context; \
    }; \
    STELE__VIEW_FUNCTION stele_status name##_upsert(stele_views *views, const struct name *row, stele_error **error) \
    { \
        return stele_view_upsert(views, &name##_view, row, error); \
    } \
    STELE__VIEW_FUNCTION stele_status name##_get(stele_views *views, const struct name *key, stele_arena *arena, \
                                                 struct name *out, stele_error **error) \
    { \
        return stele_view_get(views, &name##_view, key, arena, out, error); \
    } \
    STELE__VIEW_FUNCTION stele_status name##_delete(stele_views *views, const struct name *key, stele_error **error) \
    { \
        return stele_view_delete(views, &name##_view, key, error); \
    } \
    STELE__VIEW_FUNCTION stele_status name##_list(stele_views *views, const struct stele_view_query *query, \
                                                  stele_arena *arena, struct name##_page *out, stele_error **error) \
    { \
        struct stele_view_page page; \
        const stele_status status = stele_view_list(views, &name##_view, query, arena, &page, error); \
\
        if (status == STELE_OK) { \
            out->rows = (const struct name *)page.rows; \
            out->count = page.count; \
            out->total = page.total; \
            out->pages = page.pages; \
            out->next = page.next; \
        } \
        return status; \
    } \
    STELE__VIEW_FUNCTION bool name##_visit_row(void *context, const void *row) \
    { \
        const struct name##_visitor *visitor = (const struct name##_visitor *)context; \
\
        return visitor->visit(visitor->context, (const struct name *)row); \
    } \
    STELE__VIEW_FUNCTION stele_status name##_visit(stele_views *views, const struct stele_view_query *query, \
                                                   bool (*visit)(void *context, const struct name *row), \
                                                   void *context, stele_error **error) \
    { \
        struct name##_visitor visitor = {visit, context}; \
\
        return stele_view_visit(views, &name##_view, query, visit ? name##_visit_row : NULL, &visitor, error); \
    } \
    extern const struct stele_view name##_view
#define STELE__VIEW_FUNCTION __attribute__((unused)) static inline

/* STELE_DEFINE_VIEW(name, table, version, FIELDS, key) or with texts behind it: what is to be indexed. */
#define STELE_DEFINE_VIEW(...) STELE__DEFINE_VIEW(__VA_ARGS__, NULL)
#define STELE__DEFINE_VIEW(name, table, version, FIELDS, key_fields, ...) \
    STELE__DEFINE(STELE_PART, name, table, version, FIELDS); \
    static const char *const name##_indexes[] = {__VA_ARGS__}; \
    const struct stele_view name##_view = {.row = &name##_type, .key = key_fields, .indexes = name##_indexes}

/*
 * Check a view itself: its name and those of its fields (letters, digits and
 * '_', not a digit first, no two that differ in case only; no view begins with
 * "sqlite_" or "stele_"), kinds that have a column, a key of required fields,
 * indexes of fields. Every function below does so at first use.
 * STELE_INVALID with "view" and "field".
 */
STELE_API stele_status stele_view_check(const struct stele_view *view, stele_error **error);

/*
 * Make the table and indexes that are not there yet. A table that is there must
 * be as it would be made: STELE_INVALID names the first column that differs
 * ("field"), or the version ("version"): drop it, create it and fill it again.
 */
STELE_API stele_status stele_view_create(stele_views *views, const struct stele_view *view, stele_error **error);

/* Remove the table of that name, of whatever version, with all rows. STELE_OK also if there is none. */
STELE_API stele_status stele_view_drop(stele_views *views, const struct stele_view *view, stele_error **error);

/* --- Rows -------------------------------------------------------------------------
 *
 * STELE_NOT_FOUND if the table has not been created, STELE_INVALID if it is of
 * another shape. `row` and `key` are structs of the view's row; of a key only
 * the key's fields are read.
 */

/* Insert a row, or replace the one of the same key. STELE_INVALID for a broken rule; STELE_LIMIT; STELE_FULL. */
STELE_API stele_status stele_view_upsert(stele_views *views, const struct stele_view *view, const void *row,
                                         stele_error **error);

/* Read the row of a key; what `out` points to lives in `arena`. STELE_NOT_FOUND if there is none; STELE_CORRUPT for a
 * row changed by hand into something its type cannot hold: `out` is undefined then. */
STELE_API stele_status stele_view_get(stele_views *views, const struct stele_view *view, const void *key,
                                      stele_arena *arena, void *out, stele_error **error);

/* Delete the row of a key. STELE_NOT_FOUND if there is none. */
STELE_API stele_status stele_view_delete(stele_views *views, const struct stele_view *view, const void *key,
                                         stele_error **error);

/* --- Queries ------------------------------------------------------------------------ */

/*
 * How a field is compared. An absent (NULL) field matches STELE_VIEW_IS_NULL
 * and nothing else. The values are of the field's kind.
 */
enum stele_view_operator {
    STELE_VIEW_EQ, /* one value, as the next five */
    STELE_VIEW_NE,
    STELE_VIEW_LT,
    STELE_VIEW_LE,
    STELE_VIEW_GT,
    STELE_VIEW_GE,
    STELE_VIEW_IN,       /* any number of values; of none, nothing matches */
    STELE_VIEW_NOT_IN,   /* of none, every present one matches */
    STELE_VIEW_LIKE,     /* text: % any run, _ one character, \ takes the next one literally; ASCII in either case */
    STELE_VIEW_STARTS,   /* text, literally */
    STELE_VIEW_ENDS,     /* text, literally */
    STELE_VIEW_CONTAINS, /* text, literally */
    STELE_VIEW_IS_NULL,  /* no value */
    STELE_VIEW_NOT_NULL, /* no value */
    STELE_VIEW_BETWEEN   /* two values, both ends included */
};

/* A value to compare with. */
struct stele_view_value {
    enum stele_kind kind;
    union {
        bool boolean;
        int64_t int64; /* also TIME */
        uint64_t uint64;
        double real;
        const char *text;
        struct stele_slice bytes;
        struct stele_uuid uuid;
    } as;
};

#define STELE__VIEW_VALUE(function, c_type, kind_name, member) \
    static inline struct stele_view_value function(c_type value) \
    { \
        struct stele_view_value result; \
        result.kind = kind_name; \
        result.as.member = value; \
        return result; \
    }
/* clang-format off */
STELE__VIEW_VALUE(stele_view_bool, bool, STELE_KIND_BOOL, boolean)
STELE__VIEW_VALUE(stele_view_int64, int64_t, STELE_KIND_INT64, int64)
STELE__VIEW_VALUE(stele_view_uint64, uint64_t, STELE_KIND_UINT64, uint64)
STELE__VIEW_VALUE(stele_view_double, double, STELE_KIND_DOUBLE, real)
STELE__VIEW_VALUE(stele_view_text, const char *, STELE_KIND_TEXT, text)
STELE__VIEW_VALUE(stele_view_bytes, struct stele_slice, STELE_KIND_BYTES, bytes)
STELE__VIEW_VALUE(stele_view_uuid, struct stele_uuid, STELE_KIND_UUID, uuid)
STELE__VIEW_VALUE(stele_view_time, int64_t, STELE_KIND_TIME, int64)
/* clang-format on */

struct stele_view_filter {
    const char *field;
    enum stele_view_operator op;
    const struct stele_view_value *values;
    size_t value_count;
};

/* STELE_FILTER("amount", STELE_VIEW_BETWEEN, stele_view_int64(1), stele_view_int64(9)): a filter with its values. */
#define STELE_FILTER(field_name, operator_name, ...) \
    { \
        .field = (field_name), .op = (operator_name), .values = (const struct stele_view_value[]){__VA_ARGS__}, \
        .value_count = sizeof((const struct stele_view_value[]){__VA_ARGS__}) / sizeof(struct stele_view_value) \
    }

/*
 * What to list; all zero is the first page of everything.
 *
 * `order` is a list of fields with commas between, each with '-' before it for
 * descending or '+' for ascending (the default); absent ones come first, with
 * '-' last. The fields of the key follow by themselves, so that the order is
 * always total.
 *
 * Pages are found by number or by cursor. A cursor is the `next` of the page
 * before, with the same filters and order: it goes on behind the last row of
 * it, whatever was inserted or deleted meanwhile, and costs the same on the
 * thousandth page as on the first. By number, page n skips (n-1) * per_page
 * rows.
 */
struct stele_view_query {
    const struct stele_view_filter *filters; /* all must hold */
    size_t filter_count;
    const char *order;
    uint64_t page;     /* from 1; 0: the first */
    uint32_t per_page; /* 0: STELE_VIEW_PER_PAGE */
    const char *after; /* a cursor, or "" to begin with one: nothing is counted then; NULL: by number */
};

struct stele_view_page {
    const void *rows; /* an array of the view's row */
    size_t count;
    uint64_t total;   /* rows on all pages; 0 by cursor */
    uint64_t pages;   /* 0 if there are no rows, and by cursor */
    const char *next; /* the cursor to go on with; NULL when this page is the last */
};

/*
 * Read a page, counted and read in one state of the file; all of it lives in
 * `arena`. `query` NULL is all zero. STELE_INVALID names the field of a filter
 * or order that the view does not have, a value of another kind, too many
 * values; STELE_MALFORMED for a cursor that is none of this order
 * ("argument"); STELE_LIMIT; STELE_CORRUPT as stele_view_get().
 */
STELE_API stele_status stele_view_list(stele_views *views, const struct stele_view *view,
                                       const struct stele_view_query *query, stele_arena *arena,
                                       struct stele_view_page *out, stele_error **error);

/*
 * Show each row to `visit` until it returns false: in order, from the cursor if
 * there is one, without pages (`page` and `per_page` must be 0). A row is lent
 * for the call. `visit` must not use the handle: that is STELE_INVALID.
 */
STELE_API stele_status stele_view_visit(stele_views *views, const struct stele_view *view,
                                        const struct stele_view_query *query,
                                        bool (*visit)(void *context, const void *row), void *context,
                                        stele_error **error);

/* Count the rows that the filters leave. */
STELE_API stele_status stele_view_count(stele_views *views, const struct stele_view *view,
                                        const struct stele_view_query *query, uint64_t *out, stele_error **error);

#ifdef __cplusplus
}
#endif

#endif
