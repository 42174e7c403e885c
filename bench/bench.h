/*
 * Benchmarks that compare: every case runs "ours" and "other" in turn, in one
 * process, round after round, so that a noisy machine disturbs both alike. A
 * case prints the median of each, their ratio, and the goal with whether it was
 * reached; --json writes the same as one object a line:
 * {"name", "ours", "other", "ratio", "unit", "goal", "reached"}.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stele.h>

#include <stdio.h>

struct bench {
    const char *folder; /* where files go; its disk is the one measured */
    const char *only;   /* run the cases whose names begin with this */
    unsigned rounds;    /* per case */
    uint64_t events;    /* of the large log */
    const char *tool;   /* the program stele */
    FILE *json;
};

/* What a case must reach: its ratio, or its figure if that stands alone. All zero: nothing is asked. */
struct bench_goal {
    double at_least;
    double at_most;
};

/* One side of a case: does its work and returns the figure, in the case's unit. */
typedef double bench_side(void *context);

struct bench_case {
    const char *name;
    const char *unit;
    bench_side *ours;
    bench_side *other; /* NULL: the figure stands alone */
    void *context;
    struct bench_goal goal;
};

/* Read --json FILE, --dir DIR, --only CASE, --rounds N, --events N, --tool FILE; exits on a usage error. */
void bench_open(struct bench *bench, int argc, char **argv, const char *description);
void bench_close(struct bench *bench);

bool bench_wants(const struct bench *bench, const char *name);
void bench_run(struct bench *bench, const struct bench_case *entry);

/* Sort figures and return the one that `percent` of them do not exceed. */
double bench_percentile(double *figures, size_t count, double percent);

/* Run `stele COMMAND DB [ARGUMENT]` with its output thrown away, and wait for it. */
void bench_tool(const struct bench *bench, const char *command, const char *db, const char *argument);

/* Seconds from an arbitrary start. */
double bench_seconds(void);

/* Kilobytes of memory resident now, and the most since bench_reset_peak() (Linux; 0 elsewhere). */
long bench_resident(void);
long bench_peak(void);
void bench_reset_peak(void);

/* Run `side` in a child process, which starts with no memory of ours, and return its figure. */
double bench_in_child(bench_side *side, void *context);

/* Ends the program with the message of the error when `status` is not STELE_OK. */
void bench_must(stele_status status, stele_error *error, const char *doing);

#endif
