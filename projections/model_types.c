/*
 * A model against the types of a store: its fields are theirs, and go where they can.
 *
 *     "$types" -> the newest version of each type -> each field used: there? with a value?
 *         -> the statements, tried with a value of each kind: what a STRICT column cannot take SQLite says
 *
 * A type that is not registered cannot be checked; that is told as a warning.
 *
 * What can fail: a field (STELE_MALFORMED with "line"), the store, memory.
 */
#include "projections/model.h"

#include "base/error.h"
#include "base/text.h"
#include "store/registry.h"

#include <stdio.h>
#include <string.h>

/* A check under way. */
struct checking {
    const stele_model *model;
    struct stele__registry registry;
    struct model_scratch scratch;
    void (*warning)(void *context, const char *text);
    void *context;
};

/* --- Fields ------------------------------------------------------------------------- */

static const struct stele__registration *newest_of(const struct checking *checking, struct stele_slice name)
{
    const struct stele__known_shape *found = NULL;

    for (size_t i = 0; i < checking->registry.shapes.count; i++) {
        struct stele__known_shape **place = stele__vector_at(&checking->registry.shapes, i);

        if (stele__slice_equal(stele__slice((*place)->name), name) && (*place)->newest &&
            (!found || (*place)->version > found->version))
            found = *place;
    }
    return found ? found->newest : NULL;
}

static const struct stele_stored_field *find_field(const struct stele__registration *registration,
                                                   struct stele_slice name)
{
    for (; registration; registration = registration->older)
        for (size_t i = 0; i < registration->field_count; i++) {
            const struct stele_stored_field *field = &registration->fields[i];

            if (!*field->part && stele__slice_equal(stele__slice(field->name), name))
                return field;
        }
    return NULL;
}

static bool has_value(const char *kind)
{
    return strncmp(kind, "list of ", 8) != 0 && strncmp(kind, "struct", 6) != 0;
}

/* Kinds are texts as in a field list: "int64", or "optional int64"; the last word says what a value is. */
static bool is_kind(const char *kind, const char *wanted)
{
    const char *last = strrchr(kind, ' ');

    return strcmp(last ? last + 1 : kind, wanted) == 0;
}

static stele_status check_field(const struct checking *checking, const struct model_type *type,
                                const struct model_field *used, const struct stele_stored_field *field,
                                stele_error **error)
{
    stele_status status;

    if (!field)
        status = stele__model_fault(checking->model, STELE_MALFORMED, used->at, error, "type %.*s has no field %.*s",
                                    STELE_SLICE(type->name), STELE_SLICE(used->name));
    else if (!has_value(field->kind))
        status = stele__model_fault(checking->model, STELE_MALFORMED, used->at, error,
                                    "field %.*s of type %.*s is a %s, which has no value here", STELE_SLICE(used->name),
                                    STELE_SLICE(type->name), field->kind);
    else
        return STELE_OK;
    stele__error_add(error, "type", "%.*s", STELE_SLICE(type->name));
    stele__error_add(error, "field", "%.*s", STELE_SLICE(used->name));
    return status;
}

/* --- Trying with values ------------------------------------------------------------------ */

static int bind_typical(sqlite3_stmt *statement, int place, const char *kind)
{
    if (is_kind(kind, "double"))
        return sqlite3_bind_double(statement, place, 1.5);
    if (is_kind(kind, "text"))
        return sqlite3_bind_text(statement, place, "text", -1, SQLITE_STATIC);
    if (is_kind(kind, "uuid"))
        return sqlite3_bind_text(statement, place, "01234567-89ab-7def-8123-456789abcdef", -1, SQLITE_STATIC);
    if (is_kind(kind, "bytes"))
        return sqlite3_bind_blob(statement, place, "\xff", 1, SQLITE_STATIC);
    return sqlite3_bind_int64(statement, place, 1);
}

static int bind_envelope(sqlite3_stmt *statement, int place, enum model_source source)
{
    switch (source) {
    case MODEL_VERSION:
    case MODEL_POSITION:
    case MODEL_TIME:
    case MODEL_PART: return sqlite3_bind_int64(statement, place, 1);
    default: return sqlite3_bind_text(statement, place, "text", -1, SQLITE_STATIC);
    }
}

/* Run a statement with values of the kinds but for the parameter `without`; SQLite's code. */
static int try_values(struct checking *checking, const struct model_section *section,
                      const struct model_statement *statement, const struct stele__registration *registration,
                      sqlite3_stmt *prepared, size_t without)
{
    int code = SQLITE_OK;

    sqlite3_clear_bindings(prepared);
    for (size_t i = 0; i < statement->parameter_count && code == SQLITE_OK; i++) {
        const struct model_parameter *parameter = &statement->parameters[i];
        const struct model_field *field =
            parameter->source == MODEL_FIELD ? stele__vector_at(&section->fields, parameter->field) : NULL;

        if (i == without)
            continue;
        code = field ? bind_typical(prepared, (int)i + 1, find_field(registration, field->name)->kind)
                     : bind_envelope(prepared, (int)i + 1, parameter->source);
    }
    if (code != SQLITE_OK)
        return code;
    checking->scratch.ticks = 0;
    sqlite3_exec(checking->scratch.db, "SAVEPOINT stele_try", NULL, NULL, NULL);
    code = sqlite3_step(prepared);
    sqlite3_reset(prepared);
    return code;
}

static void take_back(struct checking *checking)
{
    sqlite3_exec(checking->scratch.db, "ROLLBACK TO stele_try; RELEASE stele_try", NULL, NULL, NULL);
}

/* Name the parameter without which the column is content; the statement, if there is no single one. */
static stele_status fault_kind(struct checking *checking, const struct model_type *type,
                               const struct model_section *section, const struct model_statement *statement,
                               const struct stele__registration *registration, sqlite3_stmt *prepared,
                               stele_error **error)
{
    const char *at = statement->sql.data;
    char why[256];
    stele_status status;

    snprintf(why, sizeof(why), "%s", sqlite3_errmsg(checking->scratch.db));
    take_back(checking);
    for (size_t i = 0; i < statement->parameter_count && at == statement->sql.data; i++) {
        if (try_values(checking, section, statement, registration, prepared, i) != SQLITE_CONSTRAINT_DATATYPE)
            at = statement->parameters[i].at;
        take_back(checking);
    }
    status = stele__model_fault(checking->model, STELE_MALFORMED, at, error, "an event of type %.*s does not fit: %s",
                                STELE_SLICE(type->name), why);
    stele__error_add(error, "type", "%.*s", STELE_SLICE(type->name));
    return status;
}

static stele_status try_statement(struct checking *checking, const struct model_type *type,
                                  const struct model_section *section, const struct model_statement *statement,
                                  const struct stele__registration *registration, stele_error **error)
{
    sqlite3_stmt *prepared = NULL;
    stele_status status = STELE_OK;
    int code = sqlite3_prepare_v2(checking->scratch.db, statement->sql.data, (int)statement->sql.size, &prepared, NULL);

    if (code == SQLITE_OK) {
        code = try_values(checking, section, statement, registration, prepared, SIZE_MAX);
        if (code == SQLITE_CONSTRAINT_DATATYPE)
            status = fault_kind(checking, type, section, statement, registration, prepared, error);
        else
            take_back(checking);
    }
    if ((code & 0xff) == SQLITE_NOMEM)
        status = stele__fail_memory(error);
    sqlite3_finalize(prepared);
    return status;
}

/* --- The whole -------------------------------------------------------------------------------- */

static stele_status warn(const struct checking *checking, const struct model_type *type,
                         const struct model_section *section, stele_error **error)
{
    char place[64];
    char text[STELE_TYPE_MAX + 1024];
    stele_error *line = NULL;

    if (!checking->warning || section->fields.count == 0)
        return STELE_OK;
    stele__model_fault(checking->model, STELE_MALFORMED, section->at, &line, "type");
    if (stele_error_status(line) == STELE_NO_MEMORY) {
        stele_error_free(line);
        return stele__fail_memory(error);
    }
    snprintf(place, sizeof(place), "%s", stele_error_get(line, "line") ? stele_error_get(line, "line") : "?");
    stele_error_free(line);
    snprintf(text, sizeof(text), "%.700s:%s: type %.*s is not registered in the store: its fields cannot be checked",
             checking->model->path, place, STELE_SLICE(type->name));
    checking->warning(checking->context, text);
    return STELE_OK;
}

static stele_status check_type(struct checking *checking, const struct model_type *type, struct model_shape *shape,
                               stele_error **error)
{
    const struct model_section *section = stele__model_section(checking->model, type->section);
    const struct stele__registration *registration = newest_of(checking, type->name);
    stele_status status = STELE_OK;

    if (!registration)
        return warn(checking, type, section, error);
    for (size_t i = 0; i < section->fields.count && status == STELE_OK; i++) {
        const struct model_field *used = stele__vector_at(&section->fields, i);
        const struct stele_stored_field *field = find_field(registration, used->name);

        status = check_field(checking, type, used, field, error);
        if (status == STELE_OK && shape)
            shape->uuid[i] = is_kind(field->kind, "uuid");
    }
    for (size_t i = 0; i < section->count && status == STELE_OK; i++)
        status = try_statement(checking, type, section, stele__model_statement(checking->model, section->first + i),
                               registration, error);
    return status;
}

stele_status stele__model_check_types(const stele_model *model, stele_store *store,
                                      void (*warning)(void *context, const char *text), void *context,
                                      struct model_shape *shapes, stele_error **error)
{
    struct checking checking = {.model = model, .warning = warning, .context = context};
    stele_status status = stele__model_scratch_open(&checking.scratch, error);

    stele__registry_init(&checking.registry);
    if (status == STELE_OK)
        status = stele__model_rebuild_scratch(model, &checking.scratch, error);
    if (status == STELE_OK)
        status = stele__registry_load(&checking.registry, store, error);
    for (size_t i = 0; i < model->types.count && status == STELE_OK; i++)
        status = check_type(&checking, stele__vector_at(&model->types, i), shapes ? &shapes[i] : NULL, error);
    stele__registry_fini(&checking.registry);
    stele__model_scratch_close(&checking.scratch);
    return status;
}

stele_status stele_model_check(const stele_model *model, stele_store *store,
                               void (*warning)(void *context, const char *text), void *context, stele_error **error)
{
    if (!model || !store)
        return stele__fail_argument(error, !model ? "model" : "store", "is NULL");
    return stele__model_check_types(model, store, warning, context, NULL, error);
}
