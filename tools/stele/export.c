/*
 * stele export: the whole log as NDJSON, one CloudEvent a line.
 *
 * To standard output, or to a file that appears under its name only when it is
 * complete and synced: a failed export leaves an older one as it was. Fails on damage,
 * naming the position, and on a full disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"
#include "events.h"
#include "output.h"
#include "tool.h"

static const char name[] = "export";

struct export
{
    const char *db;
    const char *path; /* NULL for standard output */
    char *target;     /* the file itself, where the path is a link to it */
    char *temporary;  /* what is written until it is complete; NULL if FILE is no regular file */
    FILE *file;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct export *export = state->input;
    const char **const places[] = {&export->db, &export->path};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 2); return 0;
    case ARGP_KEY_END: args_require(state, 1, "DB"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "DB [FILE]",
    .doc = "Write every event in the global order to FILE or standard output, one CloudEvent a line, as JSON. "
           "`stele import' reads it back.",
};

static int fail_file(const struct export *export)
{
    tool_say(name, "%s: %s", export->path, strerror(errno));
    return TOOL_FAILED;
}

/* An existing store is never what somebody wants to write over. */
static bool is_database(const char *path)
{
    static const char magic[] = "SQLite format 3";
    char start[sizeof(magic)] = "";
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    const bool same = fread(start, 1, sizeof(start), file) == sizeof(start) && memcmp(start, magic, sizeof(magic)) == 0;
    fclose(file);
    return same;
}

/* Nor are the files beside it, in which there may be events that are nowhere else yet. */
static bool is_beside_database(const char *path)
{
    static const char *const suffixes[] = {"-wal", "-shm"};
    const size_t length = strlen(path);
    struct stat facts;
    bool is_one = false;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        const size_t size = strlen(suffixes[i]);
        if (length <= size || strcmp(path + length - size, suffixes[i]) != 0)
            continue;
        char *database = tool_text(path, length - size);
        is_one = stat(database, &facts) == 0 && S_ISREG(facts.st_mode) && is_database(database);
        free(database);
    }
    return is_one;
}

static int open_beside(struct export *export, mode_t mode)
{
    export->target = realpath(export->path, NULL);
    if (export->target == NULL)
        export->target = tool_text(export->path, strlen(export->path));
    if (asprintf(&export->temporary, "%s.XXXXXX", export->target) < 0)
        tool_have(NULL);
    const int descriptor = mkostemp(export->temporary, O_CLOEXEC);
    if (descriptor < 0) {
        free(export->temporary);
        export->temporary = NULL;
        return fail_file(export);
    }
    export->file = tool_have(fdopen(descriptor, "w"));
    return fchmod(descriptor, mode) == 0 ? TOOL_DONE : fail_file(export);
}

static int open_file(struct export *export)
{
    struct stat facts;
    const mode_t mask = umask(0);
    umask(mask);
    if (is_beside_database(export->path)) {
        tool_say(name, "%s: is a file of a database and is not written over", export->path);
        return TOOL_FAILED;
    }
    if (stat(export->path, &facts) != 0)
        return errno == ENOENT ? open_beside(export, 0666 & ~mask) : fail_file(export);
    if (S_ISREG(facts.st_mode) && is_database(export->path)) {
        tool_say(name, "%s: is a database and is not written over", export->path);
        return TOOL_FAILED;
    }
    if (S_ISREG(facts.st_mode))
        return open_beside(export, facts.st_mode & 0777);
    export->file = fopen(export->path, "we");
    return export->file != NULL ? TOOL_DONE : fail_file(export);
}

static int finish_file(struct export *export, int status)
{
    const bool written = fflush(export->file) == 0 && (export->temporary == NULL || fsync(fileno(export->file)) == 0);
    if (status == TOOL_DONE && !written)
        status = fail_file(export);
    if (fclose(export->file) != 0 && status == TOOL_DONE)
        status = fail_file(export);
    if (export->temporary == NULL)
        return status;
    if (status == TOOL_DONE && rename(export->temporary, export->target) != 0)
        status = fail_file(export);
    if (status != TOOL_DONE)
        unlink(export->temporary);
    free(export->temporary);
    return status;
}

/* Write a line; false when nothing more can be written. */
static bool write_line(const struct export *export, struct stele_slice line)
{
    if (export->file == NULL)
        return output_bytes(line.data, line.size) && output_bytes("\n", 1);
    return fwrite(line.data, 1, line.size, export->file) == line.size && fputc('\n', export->file) != EOF;
}

/* What the library keeps for itself is about positions in this very store, and no store takes it in. */
static bool is_own(const stele_message *event)
{
    const struct stele_slice stream = stele_message_stream(event);
    return stream.size > 0 && stream.data[0] == '$';
}

static int write_events(const struct export *export, stele_cursor *cursor)
{
    struct stele_cloudevent_options options = STELE_OPTIONS_INIT(struct stele_cloudevent_options);
    options.subject_from_stream = true;
    stele_arena *arena = tool_arena();
    const stele_message *event = NULL;
    stele_error *error = NULL;
    struct stele_slice line;
    stele_status status;
    bool written = true;
    while ((status = stele_cursor_next(cursor, &event, &error)) == STELE_OK && event != NULL && written) {
        if (is_own(event))
            continue;
        stele_arena_reset(arena);
        status = stele_cloudevent_encode(event, &options, arena, &line, &error);
        if (status != STELE_OK)
            break;
        written = write_line(export, line);
    }
    const int fault = errno;
    stele_arena_free(arena);
    if (status != STELE_OK)
        return tool_fail(name, error);
    errno = fault;
    return written || export->file == NULL ? TOOL_DONE : fail_file(export);
}

static int export_all(const struct export *export, stele_store *store)
{
    const struct stele_query everything = STELE_OPTIONS_INIT(struct stele_query);
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    if (stele_read(store, &everything, &cursor, &error) != STELE_OK)
        return tool_fail(name, error);
    const int status = write_events(export, cursor);
    stele_cursor_close(cursor);
    return status;
}

int command_export(int argc, char **argv)
{
    struct export export = {0};
    args_parse(&argp, argc, argv, &export);
    stele_store *store = tool_open(name, export.db, STELE_OPEN_READ_ONLY);
    if (store == NULL)
        return TOOL_FAILED;
    int status = export.path != NULL ? open_file(&export) : TOOL_DONE;
    if (status == TOOL_DONE)
        status = export_all(&export, store);
    if (export.file != NULL)
        status = finish_file(&export, status);
    free(export.target);
    stele_store_close(store);
    return status;
}
