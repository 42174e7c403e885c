/*
 * The inside of an open file of views.
 *
 *     stele_views
 *       connection ---- the only one
 *       tables -------- one per view used: its fields by role, its statements
 *
 * A handle in a store has a connection of the store's instead (instore.c), which
 * all who use it use in the gate of the appends: whatever touches the
 * connection does so between stele__views_enter() and stele__views_leave(), or in a transaction.
 *
 * A table is taken up at first use, when the file is found to have it, and
 * forgotten when a transaction that may have made it is rolled back.
 */
#ifndef STELE_PROJECTIONS_VIEWS_H
#define STELE_PROJECTIONS_VIEWS_H

#include <stele/view.h>

#include "base/buffer.h"
#include "base/vector.h"
#include "sqlite/sqlite.h"

enum {
    VIEWS_APPLICATION = 0x5354564d, /* "STVM": the file's application_id */
    VIEWS_BUSY_DEFAULT = 5000,      /* ms */
    VIEWS_SQL_MAX = 100000,         /* bytes of a statement */
    VIEWS_QUERIES_KEPT = 8          /* statements of queries kept for each view */
};

/* A statement of a query, by its text. */
struct view_kept {
    char *sql;
    sqlite3_stmt *statement;
};

struct view_table {
    const struct stele_view *view;
    size_t key[STELE_VIEW_FIELDS_MAX]; /* fields of the key, in its order */
    size_t key_count;
    sqlite3_stmt *upsert;
    sqlite3_stmt *get;
    sqlite3_stmt *remove;
    struct view_kept kept[VIEWS_QUERIES_KEPT];
    size_t oldest; /* of these: the next to make room */
};

struct stele_views {
    struct sqlite_store file; /* where it is, and nothing else of a store */
    struct sqlite_connection *connection;
    struct stele__vector tables; /* struct view_table * */
    sqlite3_stmt *move_mark;     /* see marks.c */
    unsigned generation;         /* of the process, see base/fork.h */
    bool read_only;
    bool begun;    /* by the caller */
    bool visiting; /* a visitor is being called */

    /* Of a handle whose connection is the store's; otherwise NULL and of no account. */
    stele_store *store;
    size_t entered; /* calls within one another, the outermost of which has gone in */
    bool broken;    /* a write of the transaction has failed with STELE_IO */
    int64_t schema; /* its version when the transaction began */
};

/* A handle without a connection. */
stele_status stele__views_new(stele_views **out, stele_error **error);

/* A handle on tables in memory, gone when it is closed. STELE_NO_MEMORY. */
stele_status stele__views_in_memory(stele_views **out, stele_error **error);

/* STELE_INVALID for NULL or from inside a visitor, STELE_FORKED in a child process. */
stele_status stele__views_check(const stele_views *views, stele_error **error);
stele_status stele__views_check_writable(const stele_views *views, stele_error **error);
/*
 * Check a handle, and use its connection until leaving. In a store that is in the
 * gate, and what is written outside of a transaction becomes one of its own, which
 * ends as `status` says. Returns what becomes of the call.
 */
stele_status stele__views_enter(stele_views *views, bool writing, stele_error **error);
stele_status stele__views_leave(stele_views *views, bool writing, stele_status status, stele_error **error);
/* Fail with a result code of the connection; adds "view" unless NULL. */
stele_status stele__views_fail(const stele_views *views, const struct stele_view *view, int code, const char *doing,
                               stele_error **error);
/* Run a statement without rows or parameters. */
stele_status stele__views_run(const stele_views *views, const char *sql, const char *doing, stele_error **error);
/* Prepare the text of a buffer, which is freed. */
stele_status stele__views_prepare(const stele_views *views, const struct stele_view *view, struct stele__buffer *sql,
                                  sqlite3_stmt **out, stele_error **error);
/* Forget every table and its statements. */
void stele__views_forget(stele_views *views);

/* --- Tables ------------------------------------------------------------------ */

/* STELE_INVALID with "view" and "field" (unless NULL): "view NAME, field FIELD: why". */
stele_status stele__view_fault(const struct stele_view *view, const char *field, const char *why, stele_error **error);
/* Letters, digits and '_', up to STELE_VIEW_NAME_MAX, and neither SQLite's nor ours. */
bool stele__view_is_table_name(const char *name);
/* The index of a field by name; SIZE_MAX if the row has none such. */
size_t stele__view_field(const struct stele_type *row, struct stele_slice name);
/* Walk a list of names with commas between; *rest begins as the list. False at the end; blanks around are dropped. */
bool stele__view_next_name(const char **rest, struct stele_slice *name);
/* The table of a view, checked and taken up. */
stele_status stele__view_table(stele_views *views, const struct stele_view *view, struct view_table **out,
                               stele_error **error);

/* --- Values ------------------------------------------------------------------- */

/* Bind a field of a row; STELE_LIMIT for a UINT64 that has no INTEGER. What it points to must outlive the step. */
stele_status stele__view_bind(const stele_views *views, const struct stele_view *view, size_t field, const void *row,
                              sqlite3_stmt *statement, int place, stele_error **error);
stele_status stele__view_bind_value(const stele_views *views, const struct stele_view *view,
                                    const struct stele_field *field, const struct stele_view_value *value,
                                    sqlite3_stmt *statement, int place, stele_error **error);
/* Read a row whose columns are the view's fields; memory from `arena`. STELE_CORRUPT. */
stele_status stele__view_read(const struct stele_view *view, sqlite3_stmt *row, stele_arena *arena, void *out,
                              stele_error **error);

/* --- Queries -------------------------------------------------------------------- */

/* A query, understood. */
struct view_plan {
    const struct stele_view_query *query;
    struct {
        size_t field;
        bool descending;
    } order[STELE_VIEW_FIELDS_MAX]; /* the key's fields included */
    size_t order_count;
    uint32_t per_page;
    bool by_cursor;
    struct stele_slice cursor; /* decoded; absent at the beginning */
};

/* Where a walk through the values of a cursor stands. */
struct view_cursor_value {
    int type; /* as sqlite3_column_type() */
    int64_t integer;
    double real;
    struct stele_slice bytes; /* of text and blob */
};

/* A number by which a cursor of another view or order is told apart. */
uint32_t stele__view_cursor_mark(const struct stele_view *view, const struct view_plan *plan);
/* The cursor behind a row, as text in `arena`. */
stele_status stele__view_cursor_write(const struct stele_view *view, const struct view_plan *plan, sqlite3_stmt *row,
                                      stele_arena *arena, const char **out, stele_error **error);
/* The bytes of the values in a cursor, in `arena`, checked to be as many as the order has. */
stele_status stele__view_cursor_read(const struct stele_view *view, const struct view_plan *plan, const char *text,
                                     stele_arena *arena, struct stele_slice *out, stele_error **error);
/* Take the next value off `rest`; false where it is malformed. */
bool stele__view_cursor_next(struct stele_slice *rest, struct view_cursor_value *out);

/* Understand a query; the cursor's bytes live in `arena`. */
stele_status stele__view_plan(const struct view_table *table, const struct stele_view_query *query, stele_arena *arena,
                              struct view_plan *out, stele_error **error);
/* The statement of a plan (`counting`: the number of rows without the cursor), kept by the table, bound but for its
 * last two parameters: LIMIT and OFFSET. */
stele_status stele__view_query(const stele_views *views, struct view_table *table, const struct view_plan *plan,
                               bool counting, sqlite3_stmt **out, int *next_place, stele_error **error);

#endif
