/*
 * The common part of the benchmark programs: options, rounds, medians, output.
 */
#include "bench/bench.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS_MAX = 101 };

static int parse_count(const char *text, uint64_t *out)
{
    char *end = NULL;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && *out > 0;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct bench *bench = state->input;
    uint64_t count = 0;

    switch (key) {
    case 'j':
        bench->json = fopen(argument, "w");
        if (!bench->json)
            argp_failure(state, EXIT_FAILURE, errno, "%s", argument);
        return 0;
    case 'd': bench->folder = argument; return 0;
    case 'o': bench->only = argument; return 0;
    case 't': bench->tool = argument; return 0;
    case 'r':
        if (!parse_count(argument, &count) || count > ROUNDS_MAX)
            argp_error(state, "--rounds takes a number from 1 to %d", ROUNDS_MAX);
        bench->rounds = (unsigned)count;
        return 0;
    case 'n':
        if (!parse_count(argument, &bench->events))
            argp_error(state, "--events takes a number above 0");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

void bench_open(struct bench *bench, int argc, char **argv, const char *description)
{
    static const struct argp_option options[] = {
        {"json", 'j', "FILE", 0, "Write one JSON object per case to FILE", 0},
        {"dir", 'd', "DIR", 0, "Work on the disk that DIR is on (default: the current folder)", 0},
        {"only", 'o', "CASE", 0, "Run only the cases whose names begin with CASE", 0},
        {"rounds", 'r', "N", 0, "Rounds per case, the median counts (default 5)", 0},
        {"tool", 't', "FILE", 0, "The program stele (default: tools/stele/stele)", 0},
        {"events", 'n', "N", 0, "Events of the large log (default 1000000)", 0},
        {0}};
    const struct argp argp = {.options = options, .parser = parse_option, .doc = description};

    *bench = (struct bench){.folder = ".", .only = "", .rounds = 5, .events = 1000000, .tool = "tools/stele/stele"};
    argp_parse(&argp, argc, argv, 0, NULL, bench);
    printf("%-34s %14s %14s %7s  %s\n", "case", "ours", "other", "ratio", "unit");
}

void bench_close(struct bench *bench)
{
    if (bench->json && fclose(bench->json) != 0) {
        perror("--json");
        exit(EXIT_FAILURE);
    }
}

bool bench_wants(const struct bench *bench, const char *name)
{
    return strncmp(name, bench->only, strlen(bench->only)) == 0;
}

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;

    return (a > b) - (a < b);
}

double bench_percentile(double *figures, size_t count, double percent)
{
    qsort(figures, count, sizeof(*figures), compare_doubles);
    return figures[(size_t)((double)(count - 1) * percent / 100)];
}

static double median(double *figures, unsigned count)
{
    return bench_percentile(figures, count, 50);
}

struct result {
    char other[32], ratio[32], goal[32]; /* as numbers, or "null" */
    bool has_goal, reached;
};

static struct result judge(const struct bench_case *entry, double ours, double other)
{
    const double reached = entry->other ? ours / other : ours;
    const bool is_least = entry->goal.at_least > 0;
    const double bound = is_least ? entry->goal.at_least : entry->goal.at_most;
    struct result result = {"null", "null", "null", bound > 0, is_least ? reached >= bound : reached <= bound};

    if (entry->other) {
        snprintf(result.other, sizeof(result.other), "%.3f", other);
        snprintf(result.ratio, sizeof(result.ratio), "%.4f", ours / other);
    }
    if (bound > 0)
        snprintf(result.goal, sizeof(result.goal), "%s %.2f", is_least ? ">=" : "<=", bound);
    return result;
}

static const char *shown(const char *number)
{
    return strcmp(number, "null") == 0 ? "-" : number;
}

static void report(const struct bench *bench, const struct bench_case *entry, double ours, double other)
{
    const struct result result = judge(entry, ours, other);

    printf("%-34s %14.3f %14s %7s  %s", entry->name, ours, shown(result.other), shown(result.ratio), entry->unit);
    if (result.has_goal)
        printf("; goal %s: %s", result.goal, result.reached ? "reached" : "MISSED");
    putchar('\n');
    fflush(stdout);
    if (!bench->json)
        return;
    fprintf(bench->json, "{\"name\":\"%s\",\"ours\":%.3f,\"other\":%s,\"ratio\":%s,\"unit\":\"%s\"", entry->name, ours,
            result.other, result.ratio, entry->unit);
    if (result.has_goal)
        fprintf(bench->json, ",\"goal\":\"%s\",\"reached\":%s", result.goal, result.reached ? "true" : "false");
    fputs("}\n", bench->json);
}

void bench_run(struct bench *bench, const struct bench_case *entry)
{
    double ours[ROUNDS_MAX];
    double other[ROUNDS_MAX];

    if (!bench_wants(bench, entry->name))
        return;
    for (unsigned round = 0; round < bench->rounds; round++) {
        /* Whoever comes second finds warmer caches: take turns. */
        if (entry->other && round % 2 == 1)
            other[round] = entry->other(entry->context);
        ours[round] = entry->ours(entry->context);
        if (entry->other && round % 2 == 0)
            other[round] = entry->other(entry->context);
    }
    report(bench, entry, median(ours, bench->rounds), entry->other ? median(other, bench->rounds) : 0);
}

static void become_tool(const struct bench *bench, const char *command, const char *db, const char *argument)
{
    const int nowhere = open("/dev/null", O_WRONLY);

    if (nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0)
        execl(bench->tool, "stele", command, db, argument, (char *)NULL);
    perror(bench->tool);
    _exit(EXIT_FAILURE);
}

void bench_tool(const struct bench *bench, const char *command, const char *db, const char *argument)
{
    int status = 0;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0)
        become_tool(bench, command, db, argument);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "stele %s failed\n", command);
        exit(EXIT_FAILURE);
    }
}

double bench_seconds(void)
{
    const struct stele_clock *clock = stele_clock_system();

    return (double)clock->monotonic(clock->context) / 1e9;
}

static long read_status(const char *name)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long kilobytes = 0;

    while (status && fgets(line, sizeof(line), status)) {
        if (strncmp(line, name, strlen(name)) == 0)
            kilobytes = strtol(line + strlen(name), NULL, 10);
    }
    if (status)
        fclose(status);
    return kilobytes;
}

long bench_resident(void)
{
    return read_status("VmRSS:");
}

long bench_peak(void)
{
    return read_status("VmHWM:");
}

void bench_reset_peak(void)
{
    FILE *clear = fopen("/proc/self/clear_refs", "w");

    if (clear) {
        fputs("5", clear); /* see proc(5): resets VmHWM to the present size */
        fclose(clear);
    }
}

double bench_in_child(bench_side *side, void *context)
{
    double figure = 0;
    int ends[2];
    int status = 0;
    pid_t child;

    fflush(NULL);
    if (pipe(ends) != 0 || (child = fork()) < 0) {
        perror("child");
        exit(EXIT_FAILURE);
    }
    if (child == 0) {
        figure = side(context);
        _exit(write(ends[1], &figure, sizeof(figure)) == sizeof(figure) ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(ends[1]);
    if (read(ends[0], &figure, sizeof(figure)) != sizeof(figure) || waitpid(child, &status, 0) != child ||
        status != 0) {
        fprintf(stderr, "the child failed\n");
        exit(EXIT_FAILURE);
    }
    close(ends[0]);
    return figure;
}

void bench_must(stele_status status, stele_error *error, const char *doing)
{
    if (status == STELE_OK)
        return;
    fprintf(stderr, "%s: %s\n", doing, error ? stele_error_message(error) : stele_status_text(status));
    exit(EXIT_FAILURE);
}
