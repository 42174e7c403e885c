/*
 * How far a long command has come: one line on standard error, if that is a
 * terminal, written over and over and removed at the end.
 */
#ifndef STELE_TOOLS_PROGRESS_H
#define STELE_TOOLS_PROGRESS_H

#include <stele/base.h>

struct progress {
    bool shown;      /* standard error is a terminal */
    bool standing;   /* a line is there to be removed */
    int64_t started; /* monotonic nanoseconds */
    int64_t written; /* when the line was last written */
};

void progress_start(struct progress *progress);

/* `events` so far, 0 if it is not events that count; `done` of `total` of the work, in any unit; a total of 0 is unknown. */
void progress_show(struct progress *progress, uint64_t events, uint64_t done, uint64_t total);

/* Remove the line, to write something else. */
void progress_clear(struct progress *progress);

#endif
