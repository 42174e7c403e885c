/*
 * Parsing JSON: text -> stele__json_scan -> jansson -> tree.
 *
 * jansson's integers are signed. An integer above INT64_MAX becomes a real in
 * a copy of the text ("18446744073709551615" gets ".0" behind it), and after
 * parsing, a walk in document order (jansson keeps the order of keys) finds
 * the real of that number again: from then on it is told by its node. Texts
 * without such integers, nearly all, are parsed where they are. What can fail:
 * STELE_MALFORMED, STELE_LIMIT, memory.
 */
#include "message/json.h"

#include "base/error.h"
#include "base/memory.h"
#include "message/json_scan.h"
#include "message/msgpack.h"

#include <stdlib.h>
#include <string.h>

static const char REAL_MARK[] = ".0";

static struct stele__json_literal *literal_at(const struct stele__vector *literals, size_t index)
{
    return stele__vector_at(literals, index);
}

/* The text with a mark behind each literal. */
static stele_status mark_literals(struct stele_slice text, const struct stele__vector *literals,
                                  struct stele__buffer *marked, stele_error **error)
{
    size_t copied = 0;

    for (size_t i = 0; i < literals->count; i++) {
        const size_t end = literal_at(literals, i)->end;

        stele__buffer_add(marked, text.data + copied, end - copied);
        stele__buffer_add_text(marked, REAL_MARK);
        copied = end;
    }
    stele__buffer_add(marked, text.data + copied, text.size - copied);
    return stele__buffer_finish(marked, "JSON", error);
}

/* Where an offset of the marked text is in the text as given. */
static size_t given_offset(size_t offset, const struct stele__vector *literals)
{
    const size_t mark = strlen(REAL_MARK);
    size_t before = 0;

    while (before < literals->count && literal_at(literals, before)->end + before * mark < offset)
        before++;
    return offset > before * mark ? offset - before * mark : 0;
}

static stele_status fail_parse(const json_error_t *fault, const struct stele__vector *literals, stele_error **error)
{
    const enum json_error_code code = json_error_code(fault);
    const stele_status status = code == json_error_numeric_overflow ? STELE_LIMIT : STELE_MALFORMED;
    const size_t offset = given_offset(fault->position > 0 ? (size_t)fault->position : 0, literals);

    if (code == json_error_out_of_memory)
        return stele__fail_memory(error);
    stele__fail(error, status, "JSON, byte %zu: %s", offset, fault->text);
    stele__error_add(error, "offset", "%zu", offset);
    return status;
}

/* Nodes of the literals, found in document order; recursion is bounded by the scan. */
struct binding {
    const struct stele__vector *literals;
    struct stele__json *json;
    size_t reals;
};

static void bind_real(struct binding *binding, const json_t *node)
{
    struct stele__json *json = binding->json;
    const size_t next = json->wide_count;

    if (next < binding->literals->count && literal_at(binding->literals, next)->ordinal == binding->reals) {
        json->wide[next].node = node;
        json->wide[next].value = literal_at(binding->literals, next)->value;
        json->wide_count++;
    }
    binding->reals++;
}

static void bind_literals(struct binding *binding, json_t *node)
{
    if (json_is_real(node))
        bind_real(binding, node);
    for (size_t i = 0; i < json_array_size(node); i++)
        bind_literals(binding, json_array_get(node, i));
    for (void *entry = json_object_iter(node); entry; entry = json_object_iter_next(node, entry))
        bind_literals(binding, json_object_iter_value(entry));
}

static int compare_wide(const void *left, const void *right)
{
    const struct stele__json_wide *const one = left;
    const struct stele__json_wide *const other = right;
    const uintptr_t one_place = (uintptr_t)one->node;
    const uintptr_t other_place = (uintptr_t)other->node;

    return (one_place > other_place) - (one_place < other_place);
}

static stele_status keep_wide(struct stele__json *json, const struct stele__vector *literals, stele_error **error)
{
    struct binding binding = {.literals = literals, .json = json};

    json->wide = stele__alloc(literals->count * sizeof(json->wide[0]));
    if (!json->wide)
        return stele__fail_memory(error);
    bind_literals(&binding, json->root);
    qsort(json->wide, json->wide_count, sizeof(json->wide[0]), compare_wide);
    return STELE_OK;
}

static stele_status parse(struct stele_slice text, const struct stele__vector *literals, struct stele__json *json,
                          stele_error **error)
{
    const size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
    json_error_t fault;

    json->root = json_loadb(text.data, text.size, flags, &fault);
    return json->root ? STELE_OK : fail_parse(&fault, literals, error);
}

stele_status stele__json_parse(struct stele_slice text, struct stele__json *out, stele_error **error)
{
    struct stele__json json = {.root = NULL};
    struct stele__vector literals;
    struct stele__buffer marked;
    stele_status status;

    stele__vector_init(&literals, sizeof(struct stele__json_literal));
    stele__buffer_init(&marked);
    status = stele__json_scan(text, &literals, error);
    if (status == STELE_OK && literals.count) {
        status = mark_literals(text, &literals, &marked, error);
        text = stele__buffer_slice(&marked);
    }
    if (status == STELE_OK)
        status = parse(text, &literals, &json, error);
    if (status == STELE_OK && literals.count)
        status = keep_wide(&json, &literals, error);
    if (status == STELE_OK)
        *out = json;
    else
        json_decref(json.root);
    stele__buffer_fini(&marked);
    stele__vector_fini(&literals);
    return status;
}

void stele__json_fini(struct stele__json *json)
{
    json_decref(json->root);
    /* All literals of a text that was parsed were found in its tree. */
    if (json->wide)
        stele__free(json->wide, json->wide_count * sizeof(json->wide[0]));
    memset(json, 0, sizeof(*json));
}

bool stele__json_wide(const struct stele__json *json, const json_t *node, uint64_t *value)
{
    const struct stele__json_wide key = {.node = node};
    const struct stele__json_wide *found;

    if (!json->wide_count || !json_is_real(node))
        return false;
    found = bsearch(&key, json->wide, json->wide_count, sizeof(key), compare_wide);
    if (found)
        *value = found->value;
    return found != NULL;
}

static void real_to_msgpack(const struct stele__json *json, const json_t *node, struct stele__buffer *out)
{
    uint64_t wide;

    if (stele__json_wide(json, node, &wide))
        stele__mp_write_uint(out, wide);
    else
        stele__mp_write_double(out, json_real_value(node));
}

/* The parser has bounded the depth; a text of less than 4 GiB the counts. */
static void object_to_msgpack(const struct stele__json *json, json_t *object, struct stele__buffer *out)
{
    stele__mp_write_map(out, (uint32_t)json_object_size(object));
    for (void *entry = json_object_iter(object); entry; entry = json_object_iter_next(object, entry)) {
        const struct stele_slice key = {json_object_iter_key(entry), json_object_iter_key_len(entry)};

        stele__mp_write_text(out, key);
        stele__json_to_msgpack(json, json_object_iter_value(entry), out);
    }
}

void stele__json_to_msgpack(const struct stele__json *json, json_t *value, struct stele__buffer *out)
{
    struct stele_slice text;

    switch (json_typeof(value)) {
    case JSON_OBJECT: object_to_msgpack(json, value, out); break;
    case JSON_ARRAY:
        stele__mp_write_list(out, (uint32_t)json_array_size(value));
        for (size_t i = 0; i < json_array_size(value); i++)
            stele__json_to_msgpack(json, json_array_get(value, i), out);
        break;
    case JSON_STRING:
        text.data = json_string_value(value);
        text.size = json_string_length(value);
        stele__mp_write_text(out, text);
        break;
    case JSON_INTEGER: stele__mp_write_int(out, json_integer_value(value)); break;
    case JSON_REAL: real_to_msgpack(json, value, out); break;
    case JSON_TRUE: stele__mp_write_bool(out, true); break;
    case JSON_FALSE: stele__mp_write_bool(out, false); break;
    case JSON_NULL: stele__mp_write_nil(out); break;
    }
}
