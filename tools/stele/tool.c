/*
 * Telling faults, opening stores, getting memory: the same for every command.
 *
 * Texts in a fault may come from a file somebody else wrote, so they pass
 * through safe.h before they reach a terminal.
 */
#include "tool.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "safe.h"

void *tool_have(void *memory)
{
    if (memory == NULL) {
        fputs("stele: out of memory\n", stderr);
        exit(TOOL_FAILED);
    }
    return memory;
}

void *tool_resize(void *memory, size_t size)
{
    return tool_have(realloc(memory, size));
}

char *tool_text(const char *text, size_t size)
{
    char *copy = tool_have(malloc(size + 1));
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

stele_arena *tool_arena(void)
{
    stele_arena *arena = NULL;
    if (stele_arena_new(&arena, NULL) != STELE_OK)
        tool_have(NULL);
    return arena;
}

void tool_say(const char *command, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    const int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        tool_have(NULL);
    const struct stele_slice raw = {text, (size_t)length};
    const struct safe_extent extent = safe_measure(raw, SAFE_UNLIMITED);
    char *line = tool_have(malloc(extent.size + 1));
    safe_write(raw, &extent, line);
    line[extent.size] = '\0';
    output_flush();
    if (command != NULL)
        fprintf(stderr, "stele: %s: %s\n", command, line);
    else
        fprintf(stderr, "stele: %s\n", line);
    free(line);
    free(text);
}

static void say_conflict(const char *command, const struct stele_conflict *conflict)
{
    char expected[48] = "";
    switch (conflict->expect) {
    case STELE_EXPECT_NO_STREAM: snprintf(expected, sizeof(expected), "no stream"); break;
    case STELE_EXPECT_EXISTS: snprintf(expected, sizeof(expected), "a stream that exists"); break;
    default: snprintf(expected, sizeof(expected), "version %" PRIu64, conflict->expected); break;
    }
    tool_say(command, "conflict on stream %s: expected %s, actual version %" PRIu64, conflict->stream, expected,
             conflict->actual);
}

int tool_fail(const char *command, stele_error *error)
{
    const struct stele_conflict *conflict = stele_error_conflict(error);
    if (conflict != NULL)
        say_conflict(command, conflict);
    else
        tool_say(command, "%s", stele_error_message(error));
    stele_error_free(error);
    return conflict != NULL ? TOOL_CONFLICT : TOOL_FAILED;
}

stele_store *tool_open(const char *command, const char *url, enum stele_open_mode mode)
{
    /* What one store took with a higher limit must come out of it, and into the next. */
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    options.mode = mode;
    options.payload_limit = STELE_PAYLOAD_MAX;
    stele_store *store = NULL;
    stele_error *error = NULL;
    if (stele_store_open(url, &options, &store, &error) != STELE_OK) {
        const char *path = stele_error_get(error, "path");
        /* Every refusal names the file, also where the message speaks only of its inside. */
        if (strstr(stele_error_message(error), path != NULL ? path : url) == NULL)
            tool_say(command, "%s: %s", path != NULL ? path : url, stele_error_message(error));
        else
            tool_say(command, "%s", stele_error_message(error));
        stele_error_free(error);
    }
    return store;
}
