/*
 * Statuses and errors.
 *
 * An error is made by stele__fail() and its kin where the fault is known; on
 * the way up callers add facts (name and text) and words in front. Message,
 * facts and a conflict's copy live in the error's own arena, freed with it.
 *
 * What can fail: memory. Then the error becomes a static object of the same
 * status, without context; an error that exists stays as it is, without what
 * was to be added.
 */
#include "base/error.h"

#include "base/arena.h"
#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 4096 }; /* bytes of a message or fact, its NUL included */

/* Options structs hold a few members; a size beyond this is a struct that was never initialised. */
enum { OPTIONS_MAX = 4096 };

struct fact {
    const struct fact *older;
    const char *name;
    const char *text;
};

struct stele_error {
    stele_status status;
    bool is_static;
    const char *message;
    const struct fact *facts; /* the newest first */
    const struct stele_conflict *conflict;
    struct stele_arena arena;
};

struct status_facts {
    const char *name;
    enum stele_action action;
    const char *text;
};

static const struct status_facts statuses[] = {
#define ROW(name, action, text) {#name, STELE_ACTION_##action, text},
    STELE_STATUS_MAP(ROW)
#undef ROW
};

enum { STATUS_COUNT = sizeof(statuses) / sizeof(statuses[0]) };

/* What is handed out when there is no memory for an error; never written to. */
static struct stele_error bare_errors[] = {
#define ROW(name, action, text) {STELE_##name, true, text " (no memory for details)", NULL, NULL, {0}},
    STELE_STATUS_MAP(ROW)
#undef ROW
};

static struct stele_error memory_error = {STELE_NO_MEMORY, true, "out of memory", NULL, NULL, {0}};

static bool is_status(stele_status status)
{
    return (unsigned)status < STATUS_COUNT;
}

const char *stele_status_name(stele_status status)
{
    return is_status(status) ? statuses[status].name : "?";
}

const char *stele_status_text(stele_status status)
{
    return is_status(status) ? statuses[status].text : "unknown status";
}

enum stele_action stele_status_action(stele_status status)
{
    return is_status(status) ? statuses[status].action : STELE_ACTION_NEVER;
}

stele_status stele_error_status(const stele_error *error)
{
    return error ? error->status : STELE_OK;
}

enum stele_action stele_error_action(const stele_error *error)
{
    return stele_status_action(stele_error_status(error));
}

const char *stele_error_message(const stele_error *error)
{
    return error ? error->message : stele_status_text(STELE_OK);
}

const char *stele_error_get(const stele_error *error, const char *name)
{
    if (!error || !name)
        return NULL;
    for (const struct fact *fact = error->facts; fact; fact = fact->older) {
        if (strcmp(fact->name, name) == 0)
            return fact->text;
    }
    return NULL;
}

const struct stele_conflict *stele_error_conflict(const stele_error *error)
{
    return error ? error->conflict : NULL;
}

void stele_error_free(stele_error *error)
{
    if (!error || error->is_static)
        return;
    stele__arena_fini(&error->arena);
    stele__free(error, sizeof(*error));
}

/* Print into `text`, cut at TEXT_MAX. */
STELE_PRINTF(2, 0)
STELE_PRINTF(2, 0) static void print_text(char text[TEXT_MAX + 1], const char *format, va_list arguments)
{
    const int length = vsnprintf(text, TEXT_MAX + 1, format, arguments);

    if (length < 0)
        snprintf(text, TEXT_MAX, "(the text could not be formatted)");
    stele__utf8_fit(text, TEXT_MAX, text);
}

/* A message is one line, whatever values are in it. */
static void make_one_line(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            *text = ' ';
    }
}

static const char *keep_text(struct stele_error *error, const char *text)
{
    return stele_arena_text(&error->arena, text, strlen(text));
}

/* An error with a copy of `message`; the static one of the same status if memory is out. */
static stele_error *error_new(stele_status status, const char *message)
{
    stele_error *error = stele__alloc(sizeof(*error));

    if (error) {
        error->status = status;
        error->message = keep_text(error, message);
        if (error->message)
            return error;
        stele__free(error, sizeof(*error));
    }
    return status == STELE_NO_MEMORY || !is_status(status) ? &memory_error : &bare_errors[status];
}

stele_status stele__fail(stele_error **error, stele_status status, const char *format, ...)
{
    char text[TEXT_MAX + 1];
    va_list arguments;

    if (!error)
        return status;
    va_start(arguments, format);
    print_text(text, format, arguments);
    va_end(arguments);
    make_one_line(text);
    *error = error_new(status, text);
    return status;
}

/* True if something can be added to the error. */
static bool can_grow(stele_error *const *error)
{
    return error && *error && !(*error)->is_static;
}

static void add_fact(stele_error *error, const char *name, const char *text)
{
    struct fact *fact = stele__arena_alloc(&error->arena, sizeof(*fact));

    if (!fact)
        return;
    fact->older = error->facts;
    fact->name = keep_text(error, name);
    fact->text = keep_text(error, text);
    if (fact->name && fact->text)
        error->facts = fact;
}

void stele__error_add(stele_error **error, const char *name, const char *format, ...)
{
    char text[TEXT_MAX + 1];
    va_list arguments;

    if (!can_grow(error))
        return;
    va_start(arguments, format);
    print_text(text, format, arguments);
    va_end(arguments);
    add_fact(*error, name, text);
}

void stele__error_prefix(stele_error **error, const char *format, ...)
{
    char text[TEXT_MAX + 1];
    size_t length;
    const char *message;
    va_list arguments;

    if (!can_grow(error))
        return;
    va_start(arguments, format);
    print_text(text, format, arguments);
    va_end(arguments);
    length = strlen(text);
    snprintf(text + length, sizeof(text) - length, ": %s", (*error)->message);
    stele__utf8_fit(text, TEXT_MAX, text);
    make_one_line(text);
    message = keep_text(*error, text);
    if (message)
        (*error)->message = message;
}

stele_status stele__fail_memory(stele_error **error)
{
    if (error)
        *error = &memory_error;
    return STELE_NO_MEMORY;
}

stele_status stele__fail_argument(stele_error **error, const char *argument, const char *why)
{
    stele__fail(error, STELE_INVALID, "%s: %s", argument, why);
    stele__error_add(error, "argument", "%s", argument);
    return STELE_INVALID;
}

stele_status stele__fail_limit(stele_error **error, const char *what, uint64_t actual, uint64_t limit, const char *unit)
{
    stele__fail(error, STELE_LIMIT, "%s is %" PRIu64 " %s long, the limit is %" PRIu64, what, actual, unit, limit);
    stele__error_add(error, "field", "%s", what);
    stele__error_add(error, "limit", "%" PRIu64, limit);
    stele__error_add(error, "actual", "%" PRIu64, actual);
    return STELE_LIMIT;
}

/* A deep copy in the error's arena; NULL if memory is out. */
static const struct stele_conflict *copy_conflict(stele_error *error, const struct stele_conflict *conflict)
{
    struct stele_conflict *copy = stele__arena_array(&error->arena, 1, sizeof(*copy));

    if (!copy)
        return NULL;
    *copy = *conflict;
    if (copy->event_count > STELE_CONFLICT_EVENTS_MAX)
        copy->event_count = STELE_CONFLICT_EVENTS_MAX;
    copy->stream = keep_text(error, conflict->stream ? conflict->stream : "");
    if (!copy->stream)
        return NULL;
    for (size_t i = 0; i < copy->event_count; i++) {
        copy->events[i].type = keep_text(error, conflict->events[i].type ? conflict->events[i].type : "");
        if (!copy->events[i].type)
            return NULL;
    }
    return copy;
}

stele_status stele__fail_conflict(stele_error **error, const struct stele_conflict *conflict)
{
    const char *const stream = conflict->stream ? conflict->stream : "";
    char expected[40];

    if (!error)
        return STELE_CONFLICT;
    switch (conflict->expect) {
    case STELE_EXPECT_NO_STREAM: snprintf(expected, sizeof(expected), "no stream"); break;
    case STELE_EXPECT_EXISTS: snprintf(expected, sizeof(expected), "an existing stream"); break;
    case STELE_EXPECT_VERSION: snprintf(expected, sizeof(expected), "version %" PRIu64, conflict->expected); break;
    case STELE_EXPECT_ANY:
    default: snprintf(expected, sizeof(expected), "any version"); break;
    }
    stele__fail(error, STELE_CONFLICT, "stream \"%s\": expected %s, actual version %" PRIu64, stream, expected,
                conflict->actual);
    if (can_grow(error)) {
        (*error)->conflict = copy_conflict(*error, conflict);
        stele__error_add(error, "stream", "%s", stream);
        stele__error_add(error, "version", "%" PRIu64, conflict->actual);
    }
    return STELE_CONFLICT;
}

stele_status stele__options_check(const void *options, size_t least, size_t known, const char *name,
                                  stele_error **error)
{
    const unsigned char *bytes = options;
    size_t size;

    if (!options)
        return STELE_OK;
    memcpy(&size, options, sizeof(size));
    if (size < least)
        return stele__fail_argument(error, name, "its size is too small: start it with STELE_OPTIONS_INIT");
    if (size > known + OPTIONS_MAX)
        return stele__fail_argument(error, name, "its size is absurd: start it with STELE_OPTIONS_INIT");
    for (size_t i = known; i < size; i++) {
        if (bytes[i] != 0)
            return stele__fail_argument(error, name, "a member that this version of the library does not know is set");
    }
    return STELE_OK;
}
