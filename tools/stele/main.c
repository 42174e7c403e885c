/*
 * The `stele` command: finds the command named on the line and runs it.
 *
 *   stele [--help|--version] COMMAND [ARGUMENT...]
 *
 * The exit status is the command's: 0 done, 1 failed, 2 usage, 3 done but with
 * bad lines skipped, 4 conflict.
 */
#include <argp.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnostics.h"
#include "output.h"
#include "tool.h"

static const struct tool_command commands[] = {
    {"append", "DB STREAM [DATA]", "Append one event, or a batch in one atomic step", command_append},
    {"read", "DB STREAM", "Show the events of one stream", command_read},
    {"log", "DB", "Show the events of all streams, in order", command_log},
    {"streams", "DB", "List the streams", command_streams},
    {"show", "DB ID|POSITION", "Show one event with all its attributes", command_show},
    {"export", "DB [FILE]", "Write the whole log, one CloudEvent a line", command_export},
    {"import", "DB [FILE]", "Take in CloudEvents, one a line", command_import},
    {"stats", "DB", "Show the store in numbers", command_stats},
    {"schema", "DB [TYPE]", "Show the types and their fields", command_schema},
    {"verify", "DB", "Check everything that is stored", command_verify},
    {"backup", "DB FILE", "Copy the store while it is used", command_backup},
    {"restore", "BACKUP DB", "Make a store out of a backup", command_restore},
    {"compact", "DB", "Rebuild the file without free space", command_compact},
    {"upgrade", "DB", "Bring the file to the newest format", command_upgrade},
    {"dead", "DB ACTION", "List dead letters, requeue or drop them", command_dead},
    {"subscriptions", "DB", "Show how far each subscription has come", command_subscriptions},
    {"project", "DB FILE", "Build a read model out of an SQL file, and keep it up to date", command_project},
    {"rebuild", "DB FILE", "Build a read model anew, or put the one before back", command_rebuild},
    {"trace", "DB CORRELATION", "Show which event caused which", command_trace},
    {"sql", "DB SQL", "Ask a question in SQL", command_sql},
    {"version", "", "Show the version", command_version},
};

enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static const struct tool_command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "stele %s\n", stele_version());
}

int command_version(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        output_text("Usage: stele version\nShow the version of the library and of this command.\n");
        return TOOL_DONE;
    }
    if (argc > 1) {
        tool_say("version", "one argument too many: '%s'", argv[1]);
        return TOOL_USAGE;
    }
    output_format("stele %s\n", stele_version());
    return TOOL_DONE;
}

/* Run a command with argv[0] in the form that args.h describes. */
static int run_command(const struct tool_command *command, int argc, char **argv)
{
    char name[32];
    snprintf(name, sizeof(name), "stele: %s", command->name);
    argv[0] = name;
    return command->run(argc, argv);
}

/* The list of commands, behind the options in --help. The parser frees the text. */
static char *list_commands(int key, const char *text, void *input)
{
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return text != NULL ? strdup(text) : NULL;
    char *list = NULL;
    size_t size = 0;
    FILE *memory = tool_have(open_memstream(&list, &size));
    fputs("Commands:\n", memory);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(memory, "  %-8s %-17s %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
    fputs("\nDB is a path, or a store URL such as sqlite:ledger.db?sync=normal.\n"
          "`stele COMMAND --help' says more about a command, stele(1) about all.\n\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 3 done with bad lines\n"
          "skipped, 4 conflict (the stream was not at the expected version).",
          memory);
    if (fclose(memory) != 0)
        tool_have(NULL);
    return list;
}

/* Where the command stands in argv. */
struct line {
    int command;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct line *line = state->input;
    (void)argument;
    switch (key) {
    case ARGP_KEY_ARG:
        line->command = state->next - 1;
        state->next = state->argc; /* the rest is the command's */
        return 0;
    case ARGP_KEY_NO_ARGS: argp_usage(state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "COMMAND [ARGUMENT...]",
    .doc = "Append events to a log, read them, move them, check them.\v",
    .help_filter = list_commands,
};

int main(int argc, char **argv)
{
    output_start();
    /* Text is UTF-8 in every store, so the width of characters is asked for in UTF-8 whatever the locale. */
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        setlocale(LC_CTYPE, "");
    argp_err_exit_status = TOOL_USAGE;
    argp_program_version_hook = print_version;
    char name[] = "stele";
    char help[] = "--help";
    if (argc > 0)
        argv[0] = name;
    struct line line = {0};
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &line);
    if (line.command == 0) { /* argc was 0 */
        tool_say(NULL, "a command is missing");
        return TOOL_USAGE;
    }
    const bool wants_help = strcmp(argv[line.command], "help") == 0;
    if (wants_help && line.command + 1 < argc)
        line.command++;
    const struct tool_command *command = find_command(argv[line.command]);
    if (wants_help) {
        char *again[] = {name, help, NULL};
        if (command == NULL && strcmp(argv[line.command], "help") == 0)
            return (int)argp_parse(&argp, 2, again, 0, NULL, &line);
        if (command != NULL)
            return run_command(command, 2, again);
    }
    if (command == NULL) {
        tool_say(NULL, "'%s' is not a command; see `stele --help'", argv[line.command]);
        return TOOL_USAGE;
    }
    if (!diagnostics_start())
        return TOOL_USAGE;
    return run_command(command, argc - line.command, argv + line.command);
}
