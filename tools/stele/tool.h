/*
 * The `stele` command: what its parts share.
 *
 * main.c finds the command by name and hands it the rest of the line; each
 * command parses its own arguments (args.h), opens its store, and writes
 * through output.h. Faults are told on standard error in one form,
 * `stele: COMMAND: what and where`.
 */
#ifndef STELE_TOOLS_TOOL_H
#define STELE_TOOLS_TOOL_H

#include <stele.h>

enum tool_exit {
    TOOL_DONE = 0,
    TOOL_FAILED = 1,
    TOOL_USAGE = 2,
    TOOL_BAD_LINES = 3, /* done, but bad lines were skipped */
    TOOL_CONFLICT = 4
};

/* One command. `run` returns the exit status. */
struct tool_command {
    const char *name;
    const char *arguments;
    const char *summary;
    int (*run)(int argc, char **argv);
};

int command_append(int argc, char **argv);
int command_read(int argc, char **argv);
int command_log(int argc, char **argv);
int command_streams(int argc, char **argv);
int command_show(int argc, char **argv);
int command_export(int argc, char **argv);
int command_import(int argc, char **argv);
int command_stats(int argc, char **argv);
int command_schema(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_backup(int argc, char **argv);
int command_restore(int argc, char **argv);
int command_compact(int argc, char **argv);
int command_upgrade(int argc, char **argv);
int command_dead(int argc, char **argv);
int command_subscriptions(int argc, char **argv);
int command_project(int argc, char **argv);
int command_rebuild(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_sql(int argc, char **argv);
int command_version(int argc, char **argv);

/* Write `stele: COMMAND: text` to standard error, one line, harmless to a terminal. */
void tool_say(const char *command, const char *format, ...) STELE_PRINTF(2, 3);

/* Tell an error, free it, and return the exit status it calls for. */
int tool_fail(const char *command, stele_error *error);

/* Open a store, or tell why not and return NULL. */
stele_store *tool_open(const char *command, const char *url, enum stele_open_mode mode);

/* Memory, or the end of the program. */
void *tool_resize(void *memory, size_t size);
char *tool_text(const char *text, size_t size);
stele_arena *tool_arena(void);
/* `memory` unless it is NULL, which ends the program. */
void *tool_have(void *memory);

#endif
