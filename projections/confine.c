/*
 * What a model's statements may do.
 *
 * Lists of what is allowed, never of what is not: an action or a function that
 * a later SQLite brings is refused until it is looked at.
 */
#include "projections/confine.h"

#include "base/memory.h"
#include "projections/sql_text.h"
#include "projections/views.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* In order of strcmp(3). The same arguments and rows give the same result on any day and machine. */
static const char *const functions[] = {
    "->",
    "->>",
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "avg",
    "ceil",
    "ceiling",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "cos",
    "cosh",
    "count",
    "cume_dist",
    "date",
    "datetime",
    "degrees",
    "dense_rank",
    "exp",
    "first_value",
    "floor",
    "format",
    "glob",
    "group_concat",
    "hex",
    "ifnull",
    "iif",
    "instr",
    "json",
    "json_array",
    "json_array_length",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_insert",
    "json_object",
    "json_patch",
    "json_quote",
    "json_remove",
    "json_replace",
    "json_set",
    "json_type",
    "json_valid",
    "julianday",
    "lag",
    "last_value",
    "lead",
    "length",
    "like",
    "likelihood",
    "likely",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "max",
    "min",
    "mod",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "pi",
    "pow",
    "power",
    "printf",
    "quote",
    "radians",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "sin",
    "sinh",
    "soundex",
    "sqrt",
    "strftime",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "tan",
    "tanh",
    "time",
    "timediff",
    "total",
    "trim",
    "trunc",
    "typeof",
    "unhex",
    "unicode",
    "unixepoch",
    "unlikely",
    "upper",
    "zeroblob",
};

void stele__confine_init(struct stele__confine *confine)
{
    memset(confine, 0, sizeof(*confine));
    stele__vector_init(&confine->tables, STELE_VIEW_NAME_MAX + 1);
}

void stele__confine_fini(struct stele__confine *confine)
{
    stele__vector_fini(&confine->tables);
}

void stele__confine_reset(struct stele__confine *confine, struct stele_slice sql)
{
    confine->sql = sql;
    confine->does = false;
    confine->made[0] = confine->what[0] = confine->why[0] = '\0';
}

/* --- Asked by SQLite ----------------------------------------------------------------- */

/* `why` follows `what` in the message. */
static int refuse(struct stele__confine *confine, const char *what, const char *why)
{
    if (!*confine->why) {
        snprintf(confine->what, sizeof(confine->what), "%s", what);
        snprintf(confine->why, sizeof(confine->why), "%.60s%s", what, why);
    }
    return SQLITE_DENY;
}

static int compare_names(const void *left, const void *right)
{
    return strcasecmp(left, *(const char *const *)right);
}

static int ask_function(struct stele__confine *confine, const char *name)
{
    if (bsearch(name, functions, sizeof(functions) / sizeof(functions[0]), sizeof(functions[0]), compare_names))
        return SQLITE_OK;
    return refuse(confine, name,
                  "() is no function that a model may use: its result or effect would not be the same "
                  "when the model is built again");
}

static int ask_table(struct stele__confine *confine, const char *name)
{
    for (size_t i = 0; i < confine->tables.count; i++)
        if (strcasecmp(stele__vector_at(&confine->tables, i), name) == 0)
            return SQLITE_OK;
    return refuse(confine, name, " is no table of the model's own");
}

static int note_table(struct stele__confine *confine, const char *name)
{
    char *kept;

    if (strcmp(name, "sqlite_sequence") == 0)
        return refuse(confine, "AUTOINCREMENT", " keeps a table that is none of the model's own");
    if (!stele__view_is_table_name(name))
        return refuse(confine, name,
                      " cannot be a table's name: up to 64 letters, digits and '_', and neither sqlite_ nor stele_ "
                      "at its beginning");
    confine->does = true;
    snprintf(confine->made, sizeof(confine->made), "%s", name);
    kept = stele__vector_add(&confine->tables);
    if (!kept) {
        confine->no_memory = true;
        return SQLITE_DENY;
    }
    snprintf(kept, STELE_VIEW_NAME_MAX + 1, "%s", name);
    return SQLITE_OK;
}

static const char *skip_word(const char *at, const char *end, const char *word)
{
    const size_t size = strlen(word);

    return (size_t)(end - at) >= size && strncasecmp(at, word, size) == 0 ? stele__sql_skip(at + size, end) : at;
}

/* Is there "NAME AS (" or "NAME(...) AS NOT MATERIALIZED (" in the statement? Only a WITH has that. */
static bool is_in_with(struct stele_slice sql, const char *name)
{
    const char *end = sql.data + sql.size;
    const char *at = sql.data;

    for (at = stele__sql_find(at, end, name); at; at = stele__sql_find(at + 1, end, name)) {
        const char *next = stele__sql_skip(at + strlen(name), end);

        if (next < end && *next == '(') {
            next = memchr(next, ')', (size_t)(end - next));
            next = next ? stele__sql_skip(next + 1, end) : end;
        }
        if (end - next < 3 || strncasecmp(next, "AS", 2) != 0)
            continue;
        next = skip_word(stele__sql_skip(next + 2, end), end, "NOT");
        next = skip_word(next, end, "MATERIALIZED");
        if (next < end && *next == '(')
            return true;
    }
    return false;
}

static bool is_schema(const char *name)
{
    return name && (strcasecmp(name, "sqlite_master") == 0 || strcasecmp(name, "sqlite_schema") == 0);
}

static int ask_tables(struct stele__confine *confine, int action, const char *first)
{
    switch (action) {
    case SQLITE_CREATE_TABLE: return note_table(confine, first);
    case SQLITE_CREATE_INDEX:
        confine->does = true;
        return strncasecmp(first, "stele_", 6) == 0 ? refuse(confine, first, " cannot be an index's name") : SQLITE_OK;
    case SQLITE_REINDEX: return SQLITE_OK;
    case SQLITE_INSERT:
    case SQLITE_UPDATE: /* which SQLite itself refuses in a text */
        if (is_schema(first))
            return SQLITE_OK;
        break;
    case SQLITE_READ: return is_schema(first) ? SQLITE_OK : ask_table(confine, first);
    default: break;
    }
    return refuse(confine, "", "before the first \"--! on\" there are CREATE TABLE and CREATE INDEX, and nothing else");
}

static int ask_events(struct stele__confine *confine, int action, const char *first, const char *second)
{
    switch (action) {
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        if (is_schema(first))
            break;
        confine->does = true;
        return ask_table(confine, first);
    case SQLITE_READ:
        /* A part of a WITH of which no column is read comes here too, by its name. */
        return !*second && strncasecmp(first, "sqlite_", 7) != 0 && is_in_with(confine->sql, first)
                   ? SQLITE_OK
                   : ask_table(confine, first);
    case SQLITE_SELECT: return SQLITE_OK;
    case SQLITE_RECURSIVE: return refuse(confine, "RECURSIVE", ": a WITH that refers to itself is not allowed");
    default: break;
    }
    return refuse(confine, "", "a statement for events is an INSERT, UPDATE, DELETE or REPLACE");
}

int stele__confine_ask(void *context, int action, const char *first, const char *second, const char *database,
                       const char *trigger)
{
    struct stele__confine *confine = context;

    if (action == SQLITE_FUNCTION)
        return ask_function(confine, second ? second : "");
    (void)trigger;
    if (database && strcmp(database, "main") != 0)
        action = SQLITE_ATTACH; /* whatever it is: there is no other database */
    return confine->stage == CONFINED_TABLES ? ask_tables(confine, action, first ? first : "")
                                             : ask_events(confine, action, first ? first : "", second ? second : "");
}

/* --- Functions of time ------------------------------------------------------------------ */

/* The functions as SQLite has them are asked through a connection of their own, opened by the first call. */
struct clock_function {
    sqlite3 *db;
    const char *name;
    int first;               /* index of the first value of time */
    int values;              /* how many there are */
    sqlite3_stmt *asked[17]; /* by number of arguments */
};

enum { ARGUMENTS_MAX = 16 };

static const struct {
    const char *name;
    int first, values;
} clock_functions[] = {
    {"date", 0, 1},     {"time", 0, 1},      {"datetime", 0, 1}, {"julianday", 0, 1},
    {"strftime", 1, 1}, {"unixepoch", 0, 1}, {"timediff", 0, 2},
};

static void free_function(void *context)
{
    struct clock_function *function = context;

    for (size_t i = 0; i <= ARGUMENTS_MAX; i++)
        sqlite3_finalize(function->asked[i]);
    sqlite3_close(function->db);
    stele__free(function, sizeof(*function));
}

/* The present moment in all its spellings, and what depends on where the machine stands. */
static bool depends_on_now(const struct clock_function *function, int count, sqlite3_value **arguments)
{
    if (count < function->first + function->values)
        return true;
    for (int i = function->first; i < count; i++) {
        static const char *const words[] = {"now", "localtime", "utc", "subsec", "subsecond"};
        const bool is_value = i < function->first + function->values;
        const int type = sqlite3_value_type(arguments[i]);
        const char *text =
            type == SQLITE_TEXT || type == SQLITE_BLOB ? (const char *)sqlite3_value_text(arguments[i]) : NULL;

        for (size_t word = 0; text && word < (is_value ? 5 : 3); word++)
            if (strcasecmp(text, words[word]) == 0)
                return true;
    }
    return false;
}

static sqlite3_stmt *asked(struct clock_function *function, int count)
{
    char sql[128];
    size_t at;

    if (function->asked[count])
        return function->asked[count];
    if (!function->db &&
        sqlite3_open_v2(":memory:", &function->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK) {
        sqlite3_close(function->db);
        function->db = NULL;
        return NULL;
    }
    at = (size_t)snprintf(sql, sizeof(sql), "SELECT %s(", function->name);
    for (int i = 0; i < count; i++)
        at += (size_t)snprintf(sql + at, sizeof(sql) - at, "%s?", i ? "," : "");
    snprintf(sql + at, sizeof(sql) - at, ")");
    sqlite3_prepare_v3(function->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &function->asked[count], NULL);
    return function->asked[count];
}

static void call(sqlite3_context *context, int count, sqlite3_value **arguments)
{
    struct clock_function *function = sqlite3_user_data(context);
    sqlite3_stmt *statement;
    char text[128];
    int code = SQLITE_OK;

    if (count > ARGUMENTS_MAX || depends_on_now(function, count, arguments)) {
        snprintf(text, sizeof(text),
                 "%s() of the present moment, or of this machine's time zone, is not allowed in a model",
                 function->name);
        sqlite3_result_error(context, text, -1);
        return;
    }
    statement = asked(function, count);
    if (!statement) {
        sqlite3_result_error_nomem(context);
        return;
    }
    for (int i = 0; i < count && code == SQLITE_OK; i++)
        code = sqlite3_bind_value(statement, i + 1, arguments[i]);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        sqlite3_result_value(context, sqlite3_column_value(statement, 0));
    else
        sqlite3_result_error(context, sqlite3_errmsg(function->db), -1);
    sqlite3_reset(statement);
}

int stele__confine_time(sqlite3 *db)
{
    int code = SQLITE_OK;

    for (size_t i = 0; i < sizeof(clock_functions) / sizeof(clock_functions[0]) && code == SQLITE_OK; i++) {
        struct clock_function *function = stele__alloc(sizeof(*function));

        if (!function)
            return SQLITE_NOMEM;
        function->name = clock_functions[i].name;
        function->first = clock_functions[i].first;
        function->values = clock_functions[i].values;
        /* Frees the context also where it fails. */
        code = sqlite3_create_function_v2(db, function->name, -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
                                          function, call, NULL, NULL, free_function);
    }
    return code;
}
