/*
 * stele sql: a question to a store, its answer as a table, JSON lines or CSV.
 *
 * The library answers, and refuses whatever is not reading; here a row becomes
 * text. Blobs are shown as hexadecimal digits, NULL as nothing (null in JSON).
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "output.h"
#include "safe.h"
#include "table.h"
#include "tool.h"

static const char name[] = "sql";

enum { KEY_TIMEOUT = ARGS_FIRST_OWN, KEY_CSV };
enum { NUMBER_TEXT_SIZE = 40 };

enum form { FORM_TABLE, FORM_JSON, FORM_CSV };

struct answer {
    const char *db;
    const char *sql;
    uint32_t timeout_ms;
    enum form form;
    struct table_column columns[TABLE_COLUMNS_MAX + 1];
    struct table *table;
    stele_arena *arena;  /* of the row */
    stele_arena *titles; /* of the columns */
    bool too_wide;       /* for a table */
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct answer *answer = state->input;
    const char **const places[] = {&answer->db, &answer->sql};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case KEY_TIMEOUT: answer->timeout_ms = (uint32_t)args_number(state, "--timeout", argument, 1, UINT32_MAX); return 0;
    case 'j': answer->form = FORM_JSON; return 0;
    case KEY_CSV: answer->form = FORM_CSV; return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 2); return 0;
    case ARGP_KEY_END: args_require(state, 2, "DB SQL"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"timeout", KEY_TIMEOUT, "MS", 0, "Give up after MS milliseconds", 0},
    {"json", 'j', NULL, 0, "Write one JSON object a line", 0},
    {"csv", KEY_CSV, NULL, 0, "Write comma-separated values, the names first", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "DB SQL",
    .doc = "Ask a question in SQL; nothing can be written. The view `events' has position, stream, version, type, "
           "typeversion, id, time, source, subject, correlationid, causationid, and data and attributes as JSON.",
};

/* --- Values as text -------------------------------------------------------------------- */

static struct stele_slice copy_text(struct answer *answer, const char *text)
{
    const size_t size = strlen(text);
    return (struct stele_slice){tool_have(stele_arena_text(answer->arena, text, size)), size};
}

/* The fewest digits that read back as the same number. */
static void print_real(double real, char text[NUMBER_TEXT_SIZE])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, NUMBER_TEXT_SIZE, "%.*g", digits, real);
        if (strtod(text, NULL) == real)
            break;
    }
    const size_t size = strlen(text);
    if (strspn(text, "-0123456789") == size)
        snprintf(text + size, NUMBER_TEXT_SIZE - size, ".0");
}

static struct stele_slice print_hex(struct answer *answer, struct stele_slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = tool_have(stele_arena_alloc(answer->arena, bytes.size * 2));
    for (size_t i = 0; i < bytes.size; i++) {
        text[2 * i] = digits[(unsigned char)bytes.data[i] >> 4];
        text[2 * i + 1] = digits[(unsigned char)bytes.data[i] & 15];
    }
    return (struct stele_slice){text, bytes.size * 2};
}

static struct stele_slice text_of(struct answer *answer, const struct stele_sql_value *value)
{
    char number[NUMBER_TEXT_SIZE];
    switch (value->kind) {
    case STELE_SQL_INTEGER: snprintf(number, sizeof(number), "%" PRId64, value->integer); break;
    case STELE_SQL_REAL: print_real(value->real, number); break;
    case STELE_SQL_TEXT: return value->bytes;
    case STELE_SQL_BLOB: return print_hex(answer, value->bytes);
    default: return (struct stele_slice){"", 0};
    }
    return copy_text(answer, number);
}

/* What goes to a terminal is made harmless; elsewhere bytes are left as they are. */
static struct stele_slice harmless(struct answer *answer, struct stele_slice text)
{
    const struct safe_extent extent = safe_measure(text, SAFE_UNLIMITED);
    char *copy = tool_have(stele_arena_alloc(answer->arena, extent.size));
    safe_write(text, &extent, copy);
    return (struct stele_slice){copy, extent.size};
}

/* --- The three forms ------------------------------------------------------------------- */

static bool begin_table(struct answer *answer, const struct stele_sql_row *row)
{
    if (row->count > TABLE_COLUMNS_MAX) {
        answer->too_wide = true;
        return false;
    }
    for (size_t i = 0; i < row->count; i++) {
        const struct stele_slice title = {row->names[i], strlen(row->names[i])};
        const struct stele_slice safe = harmless(answer, title);
        answer->columns[i].title = tool_have(stele_arena_text(answer->titles, safe.data, safe.size));
    }
    answer->table = table_new(answer->columns);
    return true;
}

static void write_table_row(struct answer *answer, const struct stele_sql_row *row)
{
    for (size_t i = 0; i < row->count; i++)
        table_cell(answer->table, text_of(answer, &row->values[i]));
}

static void write_json_row(struct answer *answer, const struct stele_sql_row *row)
{
    for (size_t i = 0; i < row->count; i++) {
        const struct stele_sql_value *value = &row->values[i];
        const bool is_number =
            value->kind == STELE_SQL_INTEGER || (value->kind == STELE_SQL_REAL && isfinite(value->real));
        output_text(i == 0 ? "{" : ",");
        output_json_string((struct stele_slice){row->names[i], strlen(row->names[i])});
        output_text(":");
        const struct stele_slice text = text_of(answer, value);
        if (is_number)
            output_bytes(text.data, text.size);
        else if (value->kind == STELE_SQL_TEXT || value->kind == STELE_SQL_BLOB)
            output_json_string(text);
        else
            output_text("null");
    }
    output_text("}\n");
}

static void write_csv_field(struct answer *answer, struct stele_slice text)
{
    if (output_is_terminal())
        text = harmless(answer, text);
    bool quoted = false;
    for (size_t i = 0; i < text.size && !quoted; i++)
        quoted = strchr(",\"\r\n", text.data[i]) != NULL;
    if (!quoted) {
        output_bytes(text.data, text.size);
        return;
    }
    output_text("\"");
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            output_text("\"");
        output_bytes(&text.data[i], 1);
    }
    output_text("\"");
}

static void write_csv_row(struct answer *answer, const struct stele_sql_row *row)
{
    for (size_t i = 0; i < row->count; i++) {
        if (i > 0)
            output_text(",");
        write_csv_field(answer, row->values != NULL ? text_of(answer, &row->values[i])
                                                    : (struct stele_slice){row->names[i], strlen(row->names[i])});
    }
    output_text("\n");
}

static bool show(void *context, const struct stele_sql_row *row)
{
    struct answer *answer = context;
    stele_arena_reset(answer->arena);
    if (answer->form == FORM_TABLE && row->values == NULL)
        return begin_table(answer, row);
    if (answer->form == FORM_TABLE)
        write_table_row(answer, row);
    else if (answer->form == FORM_CSV)
        write_csv_row(answer, row);
    else if (row->values != NULL)
        write_json_row(answer, row);
    return !output_is_lost();
}

int command_sql(int argc, char **argv)
{
    struct answer answer = {0};
    args_parse(&argp, argc, argv, &answer);
    stele_store *store = tool_open(name, answer.db, STELE_OPEN_READ_ONLY);
    if (store == NULL)
        return TOOL_FAILED;
    struct stele_sql_options how = STELE_OPTIONS_INIT(struct stele_sql_options);
    how.timeout_ms = answer.timeout_ms;
    answer.arena = tool_arena();
    answer.titles = tool_arena();
    stele_error *error = NULL;
    const stele_status status = stele_sql(store, answer.sql, &how, show, &answer, &error);
    if (answer.table != NULL)
        table_flush(answer.table);
    table_free(answer.table);
    stele_arena_free(answer.titles);
    stele_arena_free(answer.arena);
    stele_store_close(store);
    if (status != STELE_OK)
        return tool_fail(name, error);
    if (answer.too_wide)
        tool_say(name, "more than %d columns make no table: use --json or --csv", TABLE_COLUMNS_MAX);
    return answer.too_wide ? TOOL_FAILED : TOOL_DONE;
}
