/*
 * Trying a model's statements out, on tables in memory.
 *
 *     statement -> prepared, confined -> tables: made | events: parameters taken down, run once without values
 *
 * SQLite says what is wrong and where. Where it does not say where, the word
 * that it complains of is looked for in the statement.
 */
#include "projections/model.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "projections/sql_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SCRATCH_BYTES = 1024 * 1024, TICK = 1000, TICKS_MAX = 1000 };

/* --- Tables in memory ------------------------------------------------------------------- */

/* A statement that does nothing yet has no reason to take long. */
static int give_up(void *context)
{
    int *ticks = context;

    return ++*ticks > TICKS_MAX;
}

static int limit(sqlite3 *db, int *ticks)
{
    int code = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);

    if (code == SQLITE_OK)
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
    /* Text in double quotes is a name, never a string: a misspelt column is found. */
    if (code == SQLITE_OK)
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, (int *)NULL);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, (int *)NULL);
    sqlite3_extended_result_codes(db, 1);
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, MODEL_SQL_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, SCRATCH_BYTES);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, 200);
    sqlite3_limit(db, SQLITE_LIMIT_VARIABLE_NUMBER, MODEL_FIELDS_MAX);
    sqlite3_progress_handler(db, TICK, give_up, ticks);
    return code;
}

stele_status stele__model_scratch_open(struct model_scratch *scratch, stele_error **error)
{
    int code;

    stele__confine_init(&scratch->confine);
    scratch->db = NULL;
    scratch->ticks = 0;
    code = sqlite3_open_v2(":memory:", &scratch->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX,
                           NULL);
    if (code == SQLITE_OK)
        code = limit(scratch->db, &scratch->ticks);
    if (code == SQLITE_OK)
        code = stele__confine_time(scratch->db);
    return code == SQLITE_OK ? STELE_OK : stele__fail_memory(error);
}

void stele__model_scratch_close(struct model_scratch *scratch)
{
    sqlite3_close(scratch->db);
    stele__confine_fini(&scratch->confine);
}

static void confine(struct model_scratch *scratch, bool on)
{
    sqlite3_set_authorizer(scratch->db, on ? stele__confine_ask : NULL, &scratch->confine);
}

/* --- What SQLite says ------------------------------------------------------------------------ */

/* The word that a message complains of: behind ": " or "named", or the name of a function at its beginning. */
static void blamed_word(const char *message, char word[128])
{
    const char *at = strstr(message, ": ");
    const char *named = strstr(message, " named ");
    size_t size;

    at = named ? named + 7 : at ? at + 2 : strstr(message, "() ") ? message : "";
    for (const char *dot = strchr(at, '.'); dot; dot = strchr(at, '.'))
        at = dot + 1;
    size = strcspn(at, " ()");
    snprintf(word, 128, "%.*s", size < 127 ? (int)size : 127, at);
}

static const char *blamed_place(const struct model_scratch *scratch, struct stele_slice sql)
{
    const char *end = sql.data + sql.size;
    const int offset = *scratch->confine.why ? -1 : sqlite3_error_offset(scratch->db);
    const char *found;
    char word[128];

    if (offset >= 0 && (size_t)offset <= sql.size)
        return sql.data + offset;
    if (*scratch->confine.why)
        snprintf(word, sizeof(word), "%s", scratch->confine.what);
    else
        blamed_word(sqlite3_errmsg(scratch->db), word);
    found = stele__sql_find(sql.data, end, word);
    return found ? found : sql.data;
}

stele_status stele__model_fail_sql(const stele_model *model, const struct model_scratch *scratch, int code,
                                   struct stele_slice sql, stele_error **error)
{
    const char *at = blamed_place(scratch, sql);

    if ((code & 0xff) == SQLITE_NOMEM || scratch->confine.no_memory)
        return stele__fail_memory(error);
    if ((code & 0xff) == SQLITE_TOOBIG)
        return stele__model_fault(model, STELE_LIMIT, sql.data, error,
                                  "a statement, or a value in it, is too long: at most %d bytes", MODEL_SQL_MAX);
    if ((code & 0xff) == SQLITE_INTERRUPT)
        return stele__model_fault(model, STELE_LIMIT, sql.data, error, "the statement does not come to an end");
    return stele__model_fault(model, STELE_MALFORMED, at, error, "%s",
                              *scratch->confine.why ? scratch->confine.why : sqlite3_errmsg(scratch->db));
}

/* --- Statements that make tables ---------------------------------------------------------------- */

/* A default is not asked about when its table is made: it is asked for here, as an expression. */
static stele_status check_default(const stele_model *model, struct model_scratch *scratch, struct stele_slice sql,
                                  const char *expression, stele_error **error)
{
    struct stele__buffer question;
    sqlite3_stmt *statement = NULL;
    const char *at = stele__sql_find(sql.data, sql.data + sql.size, expression);
    int code;
    stele_status status;

    stele__buffer_init(&question);
    stele__buffer_print(&question, "SELECT (%s)", expression);
    stele__buffer_add_byte(&question, '\0');
    status = stele__buffer_finish(&question, "a default", error);
    if (status == STELE_OK) {
        scratch->confine.stage = CONFINED_EVENTS;
        stele__confine_reset(&scratch->confine, stele__buffer_slice(&question));
        confine(scratch, true);
        code = sqlite3_prepare_v2(scratch->db, question.data, -1, &statement, NULL);
        confine(scratch, false);
        scratch->confine.stage = CONFINED_TABLES;
        if (code == SQLITE_OK)
            code = sqlite3_step(statement) == SQLITE_ROW ? SQLITE_OK : sqlite3_extended_errcode(scratch->db);
        if (code != SQLITE_OK)
            status =
                (code & 0xff) == SQLITE_NOMEM
                    ? stele__fail_memory(error)
                    : stele__model_fault(model, STELE_MALFORMED, at ? at : sql.data, error, "%s",
                                         *scratch->confine.why ? scratch->confine.why : sqlite3_errmsg(scratch->db));
        sqlite3_finalize(statement);
    }
    stele__buffer_fini(&question);
    return status;
}

static stele_status check_defaults(const stele_model *model, struct model_scratch *scratch, struct stele_slice sql,
                                   stele_error **error)
{
    sqlite3_stmt *row = NULL;
    char table[sizeof(scratch->confine.made)];
    stele_status status = STELE_OK;
    int code;

    memcpy(table, scratch->confine.made, sizeof(table));
    code = sqlite3_prepare_v2(scratch->db,
                              "SELECT dflt_value FROM pragma_table_xinfo(?) WHERE dflt_value NOT NULL AND hidden = 0",
                              -1, &row, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(row, 1, table, -1, SQLITE_STATIC);
    while (status == STELE_OK && code == SQLITE_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        const char *expression = (const char *)sqlite3_column_text(row, 0);

        code = SQLITE_OK;
        status = expression ? check_default(model, scratch, sql, expression, error) : stele__fail_memory(error);
    }
    if (status == STELE_OK && code != SQLITE_DONE)
        status = stele__fail_memory(error);
    sqlite3_finalize(row);
    return status;
}

static stele_status make(const stele_model *model, struct model_scratch *scratch, struct stele_slice sql,
                         sqlite3_stmt *statement, stele_error **error)
{
    int code;

    if (!scratch->confine.does || sqlite3_stmt_isexplain(statement))
        return stele__model_fault(
            model, STELE_MALFORMED, sql.data, error,
            "before the first \"--! on\" there are CREATE TABLE and CREATE INDEX, and nothing else");
    code = sqlite3_step(statement);
    if (code != SQLITE_DONE)
        return stele__model_fail_sql(model, scratch, code, sql, error);
    return *scratch->confine.made ? check_defaults(model, scratch, sql, error) : STELE_OK;
}

/* --- Statements for events -------------------------------------------------------------------------- */

static stele_status find_field(const stele_model *model, struct model_section *section, struct stele_slice name,
                               const char *at, size_t *out, stele_error **error)
{
    struct model_field *field;

    for (size_t i = 0; i < section->fields.count; i++) {
        field = stele__vector_at(&section->fields, i);
        if (stele__slice_equal(field->name, name)) {
            *out = i;
            return STELE_OK;
        }
    }
    if (section->fields.count == MODEL_FIELDS_MAX)
        return stele__model_fault(model, STELE_LIMIT, at, error, "a section uses at most %d fields", MODEL_FIELDS_MAX);
    *out = section->fields.count;
    field = stele__vector_add(&section->fields);
    if (!field)
        return stele__fail_memory(error);
    *field = (struct model_field){name, at};
    return STELE_OK;
}

static enum model_source source_of(const char *name)
{
    static const char *const names[] = {
        [MODEL_STREAM] = ":stream", [MODEL_VERSION] = ":version", [MODEL_POSITION] = ":position",
        [MODEL_TIME] = ":time",     [MODEL_SUBJECT] = ":subject", [MODEL_ID] = ":id",
        [MODEL_TYPE] = ":type",     [MODEL_SOURCE] = ":source",   [MODEL_PART] = ":part",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return (enum model_source)i;
    return MODEL_FIELD;
}

static stele_status take_parameter(stele_model *model, struct model_section *section, struct stele_slice sql,
                                   const char *name, struct model_parameter *out, stele_error **error)
{
    const char *at = stele__sql_find(sql.data, sql.data + sql.size, name ? name : "?");
    char *field;

    out->at = at ? at : sql.data;
    if (!name || (*name != ':' && *name != '@'))
        return stele__model_fault(model, STELE_MALFORMED, out->at, error,
                                  "a parameter is :NAME or @FIELD, which %s is not", name ? name : "?");
    out->source = source_of(name);
    if (out->source != MODEL_FIELD)
        return STELE_OK;
    field = stele_arena_text(&model->arena, name + 1, strlen(name + 1));
    return field ? find_field(model, section, stele__slice(field), out->at, &out->field, error)
                 : stele__fail_memory(error);
}

static stele_status take_parameters(stele_model *model, struct model_section *section,
                                    struct model_statement *statement, sqlite3_stmt *prepared, stele_error **error)
{
    stele_status status = STELE_OK;

    statement->parameter_count = (size_t)sqlite3_bind_parameter_count(prepared);
    statement->parameters =
        stele__arena_array(&model->arena, statement->parameter_count, sizeof(*statement->parameters));
    if (!statement->parameters)
        return stele__fail_memory(error);
    for (size_t i = 0; i < statement->parameter_count && status == STELE_OK; i++)
        status = take_parameter(model, section, statement->sql, sqlite3_bind_parameter_name(prepared, (int)i + 1),
                                &statement->parameters[i], error);
    return status;
}

/*
 * OR ROLLBACK would end the transaction that other events are in, and OR FAIL
 * leave half of what a statement does. They are seen in what SQLite makes of it:
 * P2 of a Halt that is an error says how.
 */
static stele_status check_conflicts(const stele_model *model, struct model_scratch *scratch, struct stele_slice sql,
                                    stele_error **error)
{
    struct stele__buffer explain;
    sqlite3_stmt *row = NULL;
    const char *at = NULL;
    int code = SQLITE_NOMEM;
    bool is_bad = false;

    stele__buffer_init(&explain);
    stele__buffer_add_text(&explain, "EXPLAIN ");
    stele__buffer_add(&explain, sql.data, sql.size);
    if (stele__buffer_finish(&explain, "a statement", NULL) == STELE_OK) {
        sqlite3_limit(scratch->db, SQLITE_LIMIT_SQL_LENGTH, MODEL_SQL_MAX + 8);
        code = sqlite3_prepare_v2(scratch->db, explain.data, (int)explain.size, &row, NULL);
        sqlite3_limit(scratch->db, SQLITE_LIMIT_SQL_LENGTH, MODEL_SQL_MAX);
    }
    stele__buffer_fini(&explain);
    while (code == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW) {
        const char *operation = (const char *)sqlite3_column_text(row, 1);
        const int how = sqlite3_column_int(row, 3);

        if (operation && strncmp(operation, "Halt", 4) == 0 && sqlite3_column_int(row, 2) && (how == 1 || how == 3))
            is_bad = true;
    }
    sqlite3_finalize(row);
    if (code != SQLITE_OK)
        return stele__fail_memory(error);
    if (!is_bad)
        return STELE_OK;
    at = stele__sql_find(sql.data, sql.data + sql.size, "ROLLBACK");
    if (!at)
        at = stele__sql_find(sql.data, sql.data + sql.size, "FAIL");
    return stele__model_fault(model, STELE_MALFORMED, at ? at : sql.data, error,
                              "a conflict that does ROLLBACK or FAIL is not allowed, in a statement or in its table");
}

/* Without values most rules of a table are broken: that says nothing. What else fails would fail for any event. */
static stele_status try_once(const stele_model *model, struct model_scratch *scratch, struct stele_slice sql,
                             sqlite3_stmt *prepared, stele_error **error)
{
    int code;

    scratch->ticks = 0;
    sqlite3_exec(scratch->db, "SAVEPOINT stele_try", NULL, NULL, NULL);
    code = sqlite3_step(prepared);
    if (code == SQLITE_DONE || (code & 0xff) == SQLITE_CONSTRAINT || (code & 0xff) == SQLITE_MISMATCH) {
        sqlite3_reset(prepared);
        sqlite3_exec(scratch->db, "ROLLBACK TO stele_try; RELEASE stele_try", NULL, NULL, NULL);
        return STELE_OK;
    }
    return stele__model_fail_sql(model, scratch, code, sql, error);
}

static stele_status take_event(stele_model *model, struct model_scratch *scratch, struct model_section *section,
                               struct model_statement *statement, sqlite3_stmt *prepared, stele_error **error)
{
    const struct stele_slice sql = statement->sql;
    stele_status status;

    if (!scratch->confine.does || sqlite3_stmt_isexplain(prepared) || sqlite3_stmt_readonly(prepared))
        return stele__model_fault(model, STELE_MALFORMED, sql.data, error,
                                  "a statement for events is an INSERT, UPDATE, DELETE or REPLACE");
    if (sqlite3_column_count(prepared)) {
        const char *at = stele__sql_find(sql.data, sql.data + sql.size, "RETURNING");

        return stele__model_fault(model, STELE_MALFORMED, at ? at : sql.data, error,
                                  "RETURNING has nobody to return to");
    }
    section->count++;
    status = take_parameters(model, section, statement, prepared, error);
    if (status == STELE_OK)
        status = check_conflicts(model, scratch, sql, error);
    return status == STELE_OK ? try_once(model, scratch, sql, prepared, error) : status;
}

/* --- All of a piece ------------------------------------------------------------------------------------ */

static int prepare(struct model_scratch *scratch, const char *sql, sqlite3_stmt **out, const char **rest)
{
    int code;

    stele__confine_reset(&scratch->confine, stele__slice(sql));
    confine(scratch, true);
    code = sqlite3_prepare_v2(scratch->db, sql, -1, out, rest);
    confine(scratch, false);
    return code;
}

static stele_status take_statement(stele_model *model, struct model_scratch *scratch, struct stele_slice sql,
                                   struct model_section *section, sqlite3_stmt *prepared, stele_error **error)
{
    struct model_statement *statement;

    if (model->statements.count == STELE_MODEL_STATEMENTS_MAX)
        return stele__model_fault(model, STELE_LIMIT, sql.data, error, "a model has at most %d statements",
                                  STELE_MODEL_STATEMENTS_MAX);
    statement = stele__vector_add(&model->statements);
    if (!statement)
        return stele__fail_memory(error);
    statement->sql = sql;
    if (section)
        return take_event(model, scratch, section, statement, prepared, error);
    model->schema_count++;
    return make(model, scratch, sql, prepared, error);
}

stele_status stele__model_take(stele_model *model, struct model_scratch *scratch, const char *from,
                               struct model_section *section, stele_error **error)
{
    const char *end = from + strlen(from);
    stele_status status = STELE_OK;

    scratch->confine.stage = section ? CONFINED_EVENTS : CONFINED_TABLES;
    if (section)
        section->first = model->statements.count;
    for (from = stele__sql_skip(from, end); from < end && status == STELE_OK; from = stele__sql_skip(from, end)) {
        sqlite3_stmt *prepared = NULL;
        const char *rest = end;
        const int code = prepare(scratch, from, &prepared, &rest);

        if (code != SQLITE_OK)
            return stele__model_fail_sql(model, scratch, code, (struct stele_slice){from, (size_t)(end - from)}, error);
        if (prepared)
            status = take_statement(model, scratch, (struct stele_slice){from, (size_t)(rest - from)}, section,
                                    prepared, error);
        sqlite3_finalize(prepared);
        from = rest;
    }
    if (status == STELE_OK && section && section->count == 0)
        status = stele__model_fault(model, STELE_MALFORMED, section->at, error, "nothing is said to be done for these");
    return status;
}

stele_status stele__model_rebuild_scratch(const stele_model *model, struct model_scratch *scratch, stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; i < model->schema_count && status == STELE_OK; i++) {
        const struct stele_slice sql = stele__model_statement(model, i)->sql;
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(scratch->db, sql.data, (int)sql.size, &statement, NULL);

        if (code == SQLITE_OK)
            code = sqlite3_step(statement);
        sqlite3_finalize(statement);
        if (code != SQLITE_DONE)
            status = stele__model_fail_sql(model, scratch, code, sql, error);
    }
    return status;
}
