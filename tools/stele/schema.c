/*
 * stele schema: the types of a store, with the fields that programs registered.
 *
 * All types are one row each; one type is shown field by field. With --json
 * each is an object with its JSON Schema in it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "output.h"
#include "table.h"
#include "tool.h"

static const char name[] = "schema";

struct arguments {
    const char *db;
    const char *type; /* NULL: all */
    bool json;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    const char **const places[] = {&arguments->db, &arguments->type};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case 'j': arguments->json = true; return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 2); return 0;
    case ARGP_KEY_END: args_require(state, 1, "DB"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "Write one JSON object a line, with the JSON Schema of the type", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "DB [TYPE]",
    .doc = "Show the types that are stored or registered, with their numbers of events and their fields; with TYPE, "
           "the fields of its versions one by one.",
};

static const char *kind_text(enum stele_message_kind kind)
{
    switch (kind) {
    case STELE_COMMAND: return "command";
    case STELE_QUERY: return "query";
    case STELE_REPLY: return "reply";
    default: return "event";
    }
}

static struct stele_slice slice_of(const char *text)
{
    return (struct stele_slice){text, strlen(text)};
}

struct showing {
    const struct arguments *arguments;
    struct table *table;
    bool found;
};

/* --- Rows ------------------------------------------------------------------------------- */

static const struct table_column all_columns[] = {
    {"TYPE", false, "33"},  {"VERSION", true, NULL}, {"KIND", false, NULL},
    {"EVENTS", true, NULL}, {"FIELDS", false, NULL}, {NULL, false, NULL},
};

static const struct table_column field_columns[] = {
    {"TYPE", false, "33"}, {"VERSION", true, NULL}, {"FIELD", false, "36"}, {"KIND", false, NULL}, {NULL, false, NULL},
};

/* "order text, note optional text": the type's own fields, without those of structs in it. */
static void add_fields(struct table *table, const struct stele_stored_type *type)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = tool_have(open_memstream(&text, &size));
    const char *separator = "";
    for (size_t i = 0; i < type->field_count; i++) {
        const struct stele_stored_field *field = &type->fields[i];
        if (*field->part != '\0')
            continue;
        fprintf(memory, "%s%s %s%s", separator, field->name, field->is_required ? "" : "optional ", field->kind);
        separator = ", ";
    }
    if (fclose(memory) != 0)
        tool_have(NULL);
    table_text(table, type->schema == NULL ? "(not registered)" : text);
    free(text);
}

static bool add_type(void *context, const struct stele_stored_type *type)
{
    struct showing *showing = context;
    table_text(showing->table, type->name);
    table_number(showing->table, type->version);
    table_text(showing->table, kind_text(type->kind));
    table_number(showing->table, type->events);
    add_fields(showing->table, type);
    showing->found = true;
    return true;
}

/* Two texts as one, which the caller frees. */
static char *join(const char *first, const char *between, const char *second)
{
    const size_t size = strlen(first) + strlen(between) + strlen(second) + 1;
    char *text = tool_resize(NULL, size);
    snprintf(text, size, "%s%s%s", first, between, second);
    return text;
}

static void add_field(struct table *table, const struct stele_stored_type *type, const struct stele_stored_field *field)
{
    char *path = join(field->part, *field->part != '\0' ? "." : "", field->name);
    char *kind = join(field->is_required ? "" : "optional", field->is_required ? "" : " ", field->kind);
    table_text(table, type->name);
    table_number(table, type->version);
    table_text(table, path);
    table_text(table, kind);
    free(kind);
    free(path);
}

static bool add_one(void *context, const struct stele_stored_type *type)
{
    struct showing *showing = context;
    if (strcmp(type->name, showing->arguments->type) != 0)
        return true;
    showing->found = true;
    for (size_t i = 0; i < type->field_count; i++)
        add_field(showing->table, type, &type->fields[i]);
    if (type->field_count == 0) {
        table_text(showing->table, type->name);
        table_number(showing->table, type->version);
        table_text(showing->table, type->schema == NULL ? "(not registered)" : "(none)");
        table_text(showing->table, "");
    }
    return true;
}

/* --- JSON -------------------------------------------------------------------------------- */

static bool write_type(void *context, const struct stele_stored_type *type)
{
    struct showing *showing = context;
    const char *wanted = showing->arguments->type;
    if (wanted != NULL && strcmp(type->name, wanted) != 0)
        return true;
    showing->found = true;
    output_text("{\"type\":");
    output_json_string(slice_of(type->name));
    output_format(",\"typeversion\":%" PRIu32 ",\"kind\":\"%s\",\"events\":%" PRIu64 ",\"schema\":", type->version,
                  kind_text(type->kind), type->events);
    output_text(type->schema == NULL ? "null" : type->schema);
    output_text("}\n");
    return !output_is_lost();
}

static stele_status show(stele_store *store, struct showing *showing, stele_error **error)
{
    const struct arguments *arguments = showing->arguments;
    if (arguments->json)
        return stele_types_visit(store, write_type, showing, error);
    showing->table = table_new(arguments->type != NULL ? field_columns : all_columns);
    const stele_status status = stele_types_visit(store, arguments->type != NULL ? add_one : add_type, showing, error);
    if (status == STELE_OK && showing->found)
        table_flush(showing->table);
    table_free(showing->table);
    return status;
}

int command_schema(int argc, char **argv)
{
    struct arguments arguments = {0};
    args_parse(&argp, argc, argv, &arguments);
    stele_store *store = tool_open(name, arguments.db, STELE_OPEN_READ_ONLY);
    if (store == NULL)
        return TOOL_FAILED;
    struct showing showing = {.arguments = &arguments};
    stele_error *error = NULL;
    const stele_status status = show(store, &showing, &error);
    stele_store_close(store);
    if (status != STELE_OK)
        return tool_fail(name, error);
    if (arguments.type != NULL && !showing.found) {
        tool_say(name, "there is no type '%s'", arguments.type);
        return TOOL_FAILED;
    }
    return TOOL_DONE;
}
