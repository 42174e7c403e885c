/*
 * Reading a model: its directives, and the pieces of text between them.
 *
 *     file -> text, checked to be UTF-8 -> lines that begin with "--!" -> what stands before each -> model_try.c
 *
 * SQLite alone decides what a statement is and where it ends. A directive ends
 * whatever stands before it: of an unfinished statement SQLite says so.
 *
 * What can fail: the file, its size, a directive, a statement (STELE_MALFORMED with "line"), memory.
 */
#include "projections/model.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "projections/sql_text.h"

#include <stele/projection.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* --- Places in the text ------------------------------------------------------------ */

stele_status stele__model_fault(const stele_model *model, stele_status status, const char *at, stele_error **error,
                                const char *format, ...)
{
    char why[512];
    size_t line = 1;
    va_list arguments;

    for (const char *byte = model->text.data; byte < at; byte++)
        line += *byte == '\n';
    va_start(arguments, format);
    vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    stele__fail(error, status, "%s:%zu: %s", model->path, line, why);
    stele__error_add(error, "path", "%s", model->path);
    stele__error_add(error, "line", "%zu", line);
    return status;
}

/* --- Directives ----------------------------------------------------------------------- */

/* The next word of a line; false at its end. */
static bool next_word(struct stele_slice *line, struct stele_slice *word)
{
    while (line->size && isspace((unsigned char)*line->data)) {
        line->data++;
        line->size--;
    }
    *word = (struct stele_slice){line->data, 0};
    while (word->size < line->size && !isspace((unsigned char)line->data[word->size]))
        word->size++;
    line->data += word->size;
    line->size -= word->size;
    return word->size > 0;
}

static bool is_name(struct stele_slice name)
{
    for (size_t i = 0; i < name.size; i++)
        if (!isalnum((unsigned char)name.data[i]) && !strchr("_-.", name.data[i]))
            return false;
    return name.size > 0 && name.size <= STELE_PROJECTION_NAME_MAX;
}

static stele_status read_head(stele_model *model, struct stele_slice line, stele_error **error)
{
    struct stele_slice name, number, more;
    uint64_t version = 0;

    if (model->name)
        return stele__model_fault(model, STELE_MALFORMED, line.data, error, "the projection is named twice");
    if (!next_word(&line, &name) || !is_name(name))
        return stele__model_fault(model, STELE_MALFORMED, name.data, error,
                                  "a projection's name is up to %d letters, digits, '_', '-' and '.'",
                                  STELE_PROJECTION_NAME_MAX);
    if (!next_word(&line, &number) || !stele__parse_u64(number, &version) || version == 0 || version > UINT32_MAX)
        return stele__model_fault(model, STELE_MALFORMED, number.data, error,
                                  "behind the projection's name stands its version, a number from 1 to %" PRIu32,
                                  UINT32_MAX);
    if (next_word(&line, &more))
        return stele__model_fault(model, STELE_MALFORMED, more.data, error, "nothing stands behind the version");
    model->name = stele_arena_text(&model->arena, name.data, name.size);
    model->version = (uint32_t)version;
    return model->name ? STELE_OK : stele__fail_memory(error);
}

static stele_status add_type(stele_model *model, struct stele_slice name, stele_error **error)
{
    struct model_type *type;
    stele_error *why = NULL;
    stele_status status = stele__name_check(name, "type", STELE_TYPE_MAX, &why);

    if (status != STELE_OK) {
        status = stele__model_fault(model, status == STELE_NO_MEMORY ? status : STELE_MALFORMED, name.data, error, "%s",
                                    stele_error_message(why));
        stele_error_free(why);
        return status;
    }
    if (memchr(name.data, '*', name.size) || memchr(name.data, '>', name.size))
        return stele__model_fault(model, STELE_MALFORMED, name.data, error,
                                  "%.*s is a pattern: types are named one by one", (int)name.size, name.data);
    for (size_t i = 0; i < model->types.count; i++) {
        type = stele__vector_at(&model->types, i);
        if (stele__slice_equal(type->name, name))
            return stele__model_fault(model, STELE_MALFORMED, name.data, error, "type %.*s stands in a section already",
                                      (int)name.size, name.data);
    }
    if (model->types.count == STELE_MODEL_TYPES_MAX)
        return stele__model_fault(model, STELE_LIMIT, name.data, error, "a model has at most %d types",
                                  STELE_MODEL_TYPES_MAX);
    type = stele__vector_add(&model->types);
    if (!type)
        return stele__fail_memory(error);
    *type = (struct model_type){name, model->sections.count - 1};
    return STELE_OK;
}

static stele_status read_on(stele_model *model, struct stele_slice line, stele_error **error)
{
    const size_t before = model->types.count;
    struct model_section *section = stele__vector_add(&model->sections);
    struct stele_slice word;
    stele_status status = STELE_OK;

    if (!section)
        return stele__fail_memory(error);
    section->at = line.data;
    stele__vector_init(&section->fields, sizeof(struct model_field));
    while (status == STELE_OK && next_word(&line, &word))
        status = add_type(model, word, error);
    if (status == STELE_OK && model->types.count == before)
        return stele__model_fault(model, STELE_MALFORMED, section->at, error, "behind \"on\" stand types of events");
    return status;
}

/* `line` begins behind "--!". */
static stele_status read_directive(stele_model *model, struct stele_slice line, stele_error **error)
{
    struct stele_slice word;

    next_word(&line, &word);
    if (stele__slice_equal(word, stele__slice("projection")))
        return read_head(model, line, error);
    if (!stele__slice_equal(word, stele__slice("on")))
        return stele__model_fault(model, STELE_MALFORMED, word.data, error,
                                  "a directive is \"--! projection NAME VERSION\" or \"--! on TYPE\"");
    if (!model->name)
        return stele__model_fault(model, STELE_MALFORMED, word.data, error,
                                  "\"--! projection NAME VERSION\" comes first");
    return read_on(model, line, error);
}

/* --- The whole ---------------------------------------------------------------------------- */

/* The next line that is a directive, from the beginning of a line on; NULL if there is none. */
static char *next_directive(char *at, const char *end)
{
    while (at && end - at >= 3 && memcmp(at, "--!", 3) != 0) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    return at && end - at >= 3 ? at : NULL;
}

static stele_status take_piece(stele_model *model, struct model_scratch *scratch, const char *from, stele_error **error)
{
    struct model_section *section =
        model->sections.count ? stele__vector_at(&model->sections, model->sections.count - 1) : NULL;
    const char *rest = stele__sql_skip(from, from + strlen(from));

    if (!model->name)
        return *rest == '\0' ? STELE_OK
                             : stele__model_fault(model, STELE_MALFORMED, rest, error,
                                                  "\"--! projection NAME VERSION\" comes first");
    return stele__model_take(model, scratch, from, section, error);
}

/* `text` is the model's copy, which ends with a NUL. */
static stele_status read_pieces(stele_model *model, struct model_scratch *scratch, char *text, stele_error **error)
{
    const char *end = text + model->text.size;
    char *piece = text;
    stele_status status = STELE_OK;

    if (model->text.size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        piece += 3;
    while (status == STELE_OK) {
        char *directive = next_directive(piece, end);
        char *line_end = directive ? memchr(directive, '\n', (size_t)(end - directive)) : NULL;

        if (directive)
            *directive = '\0';
        status = take_piece(model, scratch, piece, error);
        if (!directive || status != STELE_OK)
            break;
        piece = line_end ? line_end : text + model->text.size;
        status = read_directive(model, (struct stele_slice){directive + 3, (size_t)(piece - directive - 3)}, error);
    }
    if (status == STELE_OK && model->sections.count == 0)
        status = stele__model_fault(model, STELE_MALFORMED, end, error,
                                    model->name ? "there is no \"--! on TYPE\""
                                                : "there is no \"--! projection NAME VERSION\"");
    return status;
}

static stele_status list_names(stele_model *model, const struct model_scratch *scratch, stele_error **error)
{
    struct stele__buffer tables;
    const char **names = stele__arena_array(&model->arena, model->types.count + 1, sizeof(*names));
    stele_status status;

    if (!names)
        return stele__fail_memory(error);
    model->type_names = names;
    for (size_t i = 0; i < model->types.count; i++) {
        const struct model_type *type = stele__vector_at(&model->types, i);

        names[i] = stele_arena_text(&model->arena, type->name.data, type->name.size);
        if (!names[i])
            return stele__fail_memory(error);
    }
    stele__buffer_init(&tables);
    for (size_t i = 0; i < scratch->confine.tables.count; i++)
        stele__buffer_print(&tables, "%s%s", i ? "," : "", (const char *)stele__vector_at(&scratch->confine.tables, i));
    status = stele__buffer_finish(&tables, "the tables", error);
    if (status == STELE_OK) {
        model->tables = stele_arena_text(&model->arena, stele__buffer_slice(&tables).data, tables.size);
        status = model->tables ? STELE_OK : stele__fail_memory(error);
    }
    stele__buffer_fini(&tables);
    return status;
}

static stele_status check_text(const stele_model *model, stele_error **error)
{
    size_t offset = 0;
    const char *zero = memchr(model->text.data, '\0', model->text.size);

    if (model->text.size > STELE_MODEL_BYTES_MAX) {
        const stele_status status =
            stele__fail_limit(error, "the model", model->text.size, STELE_MODEL_BYTES_MAX, "bytes");

        stele__error_add(error, "path", "%s", model->path);
        return status;
    }
    if (zero)
        return stele__model_fault(model, STELE_MALFORMED, zero, error, "there is a byte 0 in the text");
    if (!stele__utf8_valid(model->text, &offset))
        return stele__model_fault(model, STELE_MALFORMED, model->text.data + offset, error,
                                  "the text is not valid UTF-8");
    return STELE_OK;
}

static stele_status read_text(stele_model *model, stele_error **error)
{
    struct model_scratch scratch;
    XXH128_canonical_t digest;
    char *copy;
    stele_status status = check_text(model, error);

    if (status != STELE_OK)
        return status;
    copy = stele_arena_text(&model->arena, model->text.data, model->text.size);
    if (!copy)
        return stele__fail_memory(error);
    XXH128_canonicalFromHash(&digest, XXH3_128bits(copy, model->text.size));
    memcpy(model->digest, digest.digest, STELE__DIGEST_SIZE);
    model->text.data = copy;
    status = stele__model_scratch_open(&scratch, error);
    if (status == STELE_OK)
        status = read_pieces(model, &scratch, copy, error);
    if (status == STELE_OK)
        status = list_names(model, &scratch, error);
    stele__model_scratch_close(&scratch);
    return status;
}

stele_status stele_model_parse(struct stele_slice text, const char *path, stele_model **out, stele_error **error)
{
    stele_model *model;
    stele_status status;

    if (!text.data || !path || !out)
        return stele__fail_argument(error, !text.data ? "text" : !path ? "path" : "out", "is NULL");
    model = stele__alloc(sizeof(*model));
    if (!model)
        return stele__fail_memory(error);
    stele__arena_init(&model->arena);
    stele__vector_init(&model->statements, sizeof(struct model_statement));
    stele__vector_init(&model->sections, sizeof(struct model_section));
    stele__vector_init(&model->types, sizeof(struct model_type));
    model->text = text;
    model->path = stele_arena_text(&model->arena, path, strlen(path));
    status = model->path ? read_text(model, error) : stele__fail_memory(error);
    if (status == STELE_OK)
        *out = model;
    else
        stele_model_free(model);
    return status;
}

void stele_model_free(stele_model *model)
{
    if (!model)
        return;
    for (size_t i = 0; i < model->sections.count; i++) {
        struct model_section *section = stele__vector_at(&model->sections, i);

        stele__vector_fini(&section->fields);
    }
    stele__vector_fini(&model->sections);
    stele__vector_fini(&model->statements);
    stele__vector_fini(&model->types);
    stele__arena_fini(&model->arena);
    stele__free(model, sizeof(*model));
}

/* --- From a file ----------------------------------------------------------------------------- */

static stele_status fail_file(const char *path, int code, stele_error **error)
{
    char why[128];
    const stele_status status = code == ENOENT || code == ENOTDIR ? STELE_NOT_FOUND
                                : code == EACCES                  ? STELE_DENIED
                                : code == EISDIR                  ? STELE_INVALID
                                                                  : STELE_IO;

    stele__fail(error, status, "%s: cannot read it: %s", path, strerror_r(code, why, sizeof(why)));
    stele__error_add(error, "path", "%s", path);
    return status;
}

/* One byte more than is allowed is read, to be refused by its size. */
static stele_status read_file(int file, const char *path, struct stele__buffer *text, stele_error **error)
{
    ssize_t taken = 1;

    while (taken > 0 && text->size <= STELE_MODEL_BYTES_MAX) {
        char block[16384];

        taken = read(file, block, sizeof(block));
        if (taken > 0)
            stele__buffer_add(text, block, (size_t)taken);
        else if (taken < 0 && errno == EINTR)
            taken = 1;
    }
    return taken < 0 ? fail_file(path, errno, error) : stele__buffer_finish(text, "the model", error);
}

stele_status stele_model_load(const char *path, stele_model **out, stele_error **error)
{
    struct stele__buffer text;
    stele_status status;
    int file;

    if (!path || !out)
        return stele__fail_argument(error, !path ? "path" : "out", "is NULL");
    file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return fail_file(path, errno, error);
    stele__buffer_init(&text);
    status = read_file(file, path, &text, error);
    close(file);
    if (status == STELE_OK)
        status = stele_model_parse(stele__buffer_slice(&text), path, out, error);
    stele__buffer_fini(&text);
    return status;
}

const char *stele_model_name(const stele_model *model)
{
    return model->name;
}

uint32_t stele_model_version(const stele_model *model)
{
    return model->version;
}
