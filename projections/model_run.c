/*
 * A model's statements, run for events.
 *
 *     event -> its type's section -> one walk over the payload: the fields used, each in its slot
 *         -> each statement: parameters bound from envelope and slots -> stepped
 *
 * What is bound is lent: texts are read where the event has them. Of a section
 * that fails the first statements have had their effect: whoever runs it rolls
 * the transaction back, as subscriptions do.
 *
 * What can fail: a value without a place (STELE_LIMIT, STELE_INVALID), a rule of
 * a table, a statement without an end, the file, memory.
 */
#include "projections/model_run.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/message.h"
#include "projections/views.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    TICK = 100000,
    TICKS_MAX = 20000,                 /* 2,000 million steps of SQLite's machine: minutes */
    VALUE_BYTES_MAX = 32 * 1024 * 1024 /* of a value or a row: one step may make one of a thousand times as much */
};

/* A type of events, as it is run. */
struct run_type {
    struct stele_slice name;
    const struct model_section *section;
    const struct model_shape *shape;
};

struct slot {
    bool is_set;
    struct stele__mp_token token;
    char uuid[STELE_UUID_TEXT_SIZE];
};

struct stele__model_run {
    const stele_model *model;
    struct model_shape *shapes;
    struct run_type *types;
    struct stele__map by_name;
    const struct run_type *latest;
    struct stele__confine confine; /* with the model's tables */
    stele_views *views;            /* where the statements are prepared; NULL: nowhere */
    sqlite3_stmt **statements;     /* as many as the model has */
    int ticks;
    struct slot slots[MODEL_FIELDS_MAX];
};

/* --- Made and freed ----------------------------------------------------------------- */

static stele_status name_tables(struct stele__model_run *run, stele_error **error)
{
    const char *rest = *run->model->tables ? run->model->tables : NULL;
    struct stele_slice name;

    while (stele__view_next_name(&rest, &name)) {
        char *kept = stele__vector_add(&run->confine.tables);

        if (!kept)
            return stele__fail_memory(error);
        memcpy(kept, name.data, name.size); /* checked when the model was read */
    }
    run->confine.stage = CONFINED_EVENTS;
    return STELE_OK;
}

static stele_status name_types(struct stele__model_run *run, stele_error **error)
{
    for (size_t i = 0; i < run->model->types.count; i++) {
        const struct model_type *type = stele__vector_at(&run->model->types, i);

        run->types[i] = (struct run_type){type->name, stele__model_section(run->model, type->section), &run->shapes[i]};
        if (!stele__map_put(&run->by_name, type->name, &run->types[i]))
            return stele__fail_memory(error);
    }
    return STELE_OK;
}

stele_status stele__model_run_new(const stele_model *model, stele_store *store,
                                  void (*warning)(void *context, const char *text), void *context,
                                  struct stele__model_run **out, stele_error **error)
{
    struct stele__model_run *run = stele__alloc(sizeof(*run));
    stele_status status;

    if (!run)
        return stele__fail_memory(error);
    run->model = model;
    stele__map_init(&run->by_name);
    stele__confine_init(&run->confine);
    run->shapes = stele__alloc(model->types.count * sizeof(*run->shapes));
    run->types = stele__alloc(model->types.count * sizeof(*run->types));
    run->statements = stele__alloc(model->statements.count * sizeof(sqlite3_stmt *));
    status = run->shapes && run->types && run->statements
                 ? stele__model_check_types(model, store, warning, context, run->shapes, error)
                 : stele__fail_memory(error);
    if (status == STELE_OK)
        status = name_tables(run, error);
    if (status == STELE_OK)
        status = name_types(run, error);
    if (status == STELE_OK)
        *out = run;
    else
        stele__model_run_free(run);
    return status;
}

void stele__model_run_forget(struct stele__model_run *run)
{
    if (!run->views || stele__views_enter(run->views, false, NULL) != STELE_OK)
        return;
    for (size_t i = 0; i < run->model->statements.count; i++) {
        sqlite3_finalize(run->statements[i]);
        run->statements[i] = NULL;
    }
    stele__views_leave(run->views, false, STELE_OK, NULL);
    run->views = NULL;
}

void stele__model_run_free(struct stele__model_run *run)
{
    if (!run)
        return;
    stele__model_run_forget(run);
    stele__free(run->shapes, run->model->types.count * sizeof(*run->shapes));
    stele__free(run->types, run->model->types.count * sizeof(*run->types));
    stele__free(run->statements, run->model->statements.count * sizeof(sqlite3_stmt *));
    stele__map_fini(&run->by_name);
    stele__confine_fini(&run->confine);
    stele__free(run, sizeof(*run));
}

/* --- Statements --------------------------------------------------------------------------- */

static int count_ticks(void *context)
{
    struct stele__model_run *run = context;

    return ++run->ticks > TICKS_MAX;
}

static stele_status move_to(struct stele__model_run *run, stele_views *views, stele_error **error)
{
    int code;

    stele__model_run_forget(run);
    code = stele__confine_time(views->connection->db);
    if (code != SQLITE_OK)
        return stele__views_fail(views, NULL, code, "use the tables", error);
    run->views = views;
    return STELE_OK;
}

static int prepare(struct stele__model_run *run, size_t index, sqlite3_stmt **out)
{
    const struct stele_slice sql = stele__model_statement(run->model, index)->sql;
    sqlite3 *db = run->views->connection->db;
    int code;

    stele__confine_reset(&run->confine, sql);
    sqlite3_set_authorizer(db, stele__confine_ask, &run->confine);
    code = sqlite3_prepare_v3(db, sql.data, (int)sql.size, SQLITE_PREPARE_PERSISTENT, &run->statements[index], NULL);
    sqlite3_set_authorizer(db, NULL, NULL);
    *out = run->statements[index];
    return code;
}

/* --- The payload -------------------------------------------------------------------------------- */

/* The slot of a key; keys mostly come in the order in which they did before, so the search begins behind the last one. */
static struct slot *find_slot(struct stele__model_run *run, const struct model_section *section, struct stele_slice key,
                              size_t *next)
{
    const struct model_field *fields = section->fields.items;
    const size_t count = section->fields.count;

    for (size_t tried = 0, i = *next < count ? *next : 0; tried < count; tried++) {
        if (fields[i].name.size == key.size && memcmp(fields[i].name.data, key.data, key.size) == 0) {
            *next = i + 1;
            return &run->slots[i];
        }
        i = i + 1 < count ? i + 1 : 0;
    }
    return NULL;
}

static stele_status take_pair(struct stele__model_run *run, const struct model_section *section,
                              struct stele__mp_reader *reader, size_t *next, size_t *wanted, stele_error **error)
{
    struct stele__mp_token token = {.kind = STELE__MP_NIL};
    struct slot *slot = NULL;
    stele_status status = STELE_OK;
    struct stele_slice key;

    if (!stele__mp_take_text(reader, &key)) {
        status = stele__mp_next(reader, &token, error);
        key = token.kind == STELE__MP_TEXT ? token.as.slice : (struct stele_slice){NULL, 0};
    }
    if (status == STELE_OK && key.data)
        slot = find_slot(run, section, key, next);
    if (status != STELE_OK || !slot)
        return status == STELE_OK ? stele__mp_skip(reader, 1, error) : status;
    status = stele__mp_next(reader, &slot->token, error);
    if (status != STELE_OK)
        return status;
    if (slot->token.kind >= STELE__MP_EXT)
        return stele__fail(error, STELE_INVALID, "field %.*s is a list or a map, which has no value here",
                           STELE_SLICE(key));
    *wanted -= !slot->is_set;
    slot->is_set = true;
    return STELE_OK;
}

static stele_status walk_payload(struct stele__model_run *run, const struct run_type *type, const stele_message *event,
                                 stele_error **error)
{
    struct stele__mp_reader reader = stele__mp_reader(event->payload);
    struct stele__mp_token map;
    size_t wanted = type->section->fields.count;
    size_t next = 0;
    stele_status status;

    for (size_t i = 0; i < wanted; i++)
        run->slots[i].is_set = false;
    if (wanted == 0 || event->format != STELE_PAYLOAD_MSGPACK)
        return STELE_OK;
    status = stele__mp_next(&reader, &map, error);
    if (status == STELE_OK && map.kind != STELE__MP_MAP)
        return stele__fail(error, STELE_INVALID, "the payload has no fields: it is not a map");
    for (uint32_t i = 0; status == STELE_OK && i < map.as.count && wanted; i++)
        status = take_pair(run, type->section, &reader, &next, &wanted, error);
    return status;
}

/* --- Binding -------------------------------------------------------------------------------------- */

static int bind_slice(sqlite3_stmt *statement, int place, struct stele_slice text)
{
    return text.data ? sqlite3_bind_text64(statement, place, text.data, text.size, SQLITE_STATIC, SQLITE_UTF8)
                     : sqlite3_bind_null(statement, place);
}

static int bind_bytes(sqlite3_stmt *statement, int place, struct slot *slot, bool is_uuid)
{
    const struct stele_slice bytes = slot->token.as.slice;
    struct stele_uuid uuid;

    if (!is_uuid || bytes.size != sizeof(uuid.bytes))
        return sqlite3_bind_blob64(statement, place, bytes.data, bytes.size, SQLITE_STATIC);
    memcpy(uuid.bytes, bytes.data, sizeof(uuid.bytes));
    stele_uuid_print(&uuid, slot->uuid);
    return sqlite3_bind_text(statement, place, slot->uuid, STELE_UUID_TEXT_SIZE - 1, SQLITE_STATIC);
}

/* A UINT64 above INT64_MAX is SQLITE_TOOBIG. */
static int bind_field(sqlite3_stmt *statement, int place, struct slot *slot, bool is_uuid)
{
    const struct stele__mp_token *token = &slot->token;

    if (!slot->is_set)
        return sqlite3_bind_null(statement, place);
    switch (token->kind) {
    case STELE__MP_BOOL: return sqlite3_bind_int(statement, place, token->as.boolean);
    case STELE__MP_INT: return sqlite3_bind_int64(statement, place, token->as.integer);
    case STELE__MP_UINT: return SQLITE_TOOBIG;
    case STELE__MP_DOUBLE: return sqlite3_bind_double(statement, place, token->as.real);
    case STELE__MP_TEXT: return bind_slice(statement, place, token->as.slice);
    case STELE__MP_BYTES: return bind_bytes(statement, place, slot, is_uuid);
    default: return sqlite3_bind_null(statement, place);
    }
}

static int bind_envelope(sqlite3_stmt *statement, int place, enum model_source source, const stele_message *event)
{
    switch (source) {
    case MODEL_STREAM: return bind_slice(statement, place, event->stream);
    case MODEL_VERSION: return sqlite3_bind_int64(statement, place, (int64_t)event->version);
    case MODEL_POSITION: return sqlite3_bind_int64(statement, place, (int64_t)event->position);
    case MODEL_TIME: return sqlite3_bind_int64(statement, place, event->time);
    case MODEL_SUBJECT: return bind_slice(statement, place, stele_message_subject(event));
    case MODEL_ID: return bind_slice(statement, place, stele_message_id(event));
    case MODEL_TYPE: return bind_slice(statement, place, event->type);
    case MODEL_SOURCE: return bind_slice(statement, place, stele_message_source(event));
    case MODEL_PART: return sqlite3_bind_int64(statement, place, event->part);
    case MODEL_FIELD: break;
    }
    return SQLITE_MISUSE;
}

/* --- One event ---------------------------------------------------------------------------------------- */

/* What SQLite says of a statement that is right: it is the event's fault, or that of where it is written. */
static stele_status fail_statement(const struct stele__model_run *run, size_t index, int code, stele_error **error)
{
    const struct model_statement *statement = stele__model_statement(run->model, index);
    const char *why = sqlite3_errmsg(run->views->connection->db);

    switch (code & 0xff) {
    case SQLITE_TOOBIG:
        return stele__model_fault(run->model, STELE_LIMIT, statement->sql.data, error,
                                  "a value is too big for a column, which holds at most %" PRId64
                                  ", and a row at most %d "
                                  "bytes",
                                  INT64_MAX, VALUE_BYTES_MAX);
    case SQLITE_INTERRUPT:
        return stele__model_fault(run->model, STELE_LIMIT, statement->sql.data, error,
                                  "the statement does not come to an end");
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE: return stele__model_fault(run->model, STELE_INVALID, statement->sql.data, error, "%s", why);
    default: return stele__views_fail(run->views, NULL, code, "write to the tables", error);
    }
}

/* The bounds of a step are there only meanwhile: in a store the connection is that of the appends. */
static int step_bounded(struct stele__model_run *run, sqlite3_stmt *prepared)
{
    sqlite3 *db = run->views->connection->db;
    const int bytes = sqlite3_limit(db, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
    int code;

    run->ticks = 0;
    sqlite3_progress_handler(db, TICK, count_ticks, run);
    code = sqlite3_step(prepared);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, bytes);
    return code;
}

static stele_status run_statement(struct stele__model_run *run, const struct run_type *type, size_t index,
                                  const stele_message *event, stele_error **error)
{
    const struct model_statement *statement = stele__model_statement(run->model, index);
    sqlite3_stmt *prepared = run->statements[index];
    int code = prepared ? SQLITE_OK : prepare(run, index, &prepared);
    stele_status status = STELE_OK;

    for (size_t i = 0; i < statement->parameter_count && code == SQLITE_OK; i++) {
        const struct model_parameter *parameter = &statement->parameters[i];

        code = parameter->source == MODEL_FIELD ? bind_field(prepared, (int)i + 1, &run->slots[parameter->field],
                                                             type->shape->uuid[parameter->field])
                                                : bind_envelope(prepared, (int)i + 1, parameter->source, event);
    }
    if (code == SQLITE_OK)
        code = step_bounded(run, prepared);
    if (code != SQLITE_DONE)
        status = fail_statement(run, index, code, error);
    sqlite3_reset(prepared);
    return status;
}

static stele_status run_section(struct stele__model_run *run, const struct run_type *type, const stele_message *event,
                                stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; i < type->section->count && status == STELE_OK; i++)
        status = run_statement(run, type, type->section->first + i, event, error);
    return status;
}

static const struct run_type *find_type(struct stele__model_run *run, struct stele_slice name)
{
    if (!run->latest || !stele__slice_equal(run->latest->name, name))
        run->latest = stele__map_get(&run->by_name, name);
    return run->latest;
}

stele_status stele__model_apply(struct stele__model_run *run, stele_views *views, const stele_message *event,
                                stele_error **error)
{
    const struct run_type *type = find_type(run, event->type);
    stele_status status = STELE_OK;

    if (!type)
        return STELE_OK;
    if (run->views != views)
        status = move_to(run, views, error);
    if (status == STELE_OK)
        status = walk_payload(run, type, event, error);
    if (status == STELE_OK)
        status = run_section(run, type, event, error);
    if (status != STELE_OK) {
        stele__error_add(error, "projection", "%s", run->model->name);
        stele__error_add(error, "type", "%.*s", STELE_SLICE(event->type));
        stele__error_add(error, "position", "%" PRIu64, event->position);
    }
    return status;
}
