/*
 * Progress: events, share of the work, rate, time left. At most ten lines a second.
 */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <stele/clock.h>

static const int64_t second = 1000000000;

static int64_t now(void)
{
    const struct stele_clock *clock = stele_clock_system();
    return clock->monotonic(clock->context);
}

void progress_start(struct progress *progress)
{
    *progress = (struct progress){.shown = isatty(STDERR_FILENO) != 0, .started = now()};
}

static void write_left(uint64_t seconds)
{
    if (seconds >= 3600)
        fprintf(stderr, ", %" PRIu64 " h %02" PRIu64 " min left", seconds / 3600, seconds / 60 % 60);
    else if (seconds >= 60)
        fprintf(stderr, ", %" PRIu64 " min %02" PRIu64 " s left", seconds / 60, seconds % 60);
    else
        fprintf(stderr, ", %" PRIu64 " s left", seconds);
}

void progress_show(struct progress *progress, uint64_t events, uint64_t done, uint64_t total)
{
    const int64_t time = now();
    if (!progress->shown || (progress->standing && time - progress->written < second / 10))
        return;
    const double elapsed = (double)(time - progress->started) / (double)second;
    fputs("\r\033[K", stderr);
    if (events > 0)
        fprintf(stderr, "%" PRIu64 " events", events);
    if (total > 0)
        fprintf(stderr, "%s%.0f %%", events > 0 ? ", " : "", 100.0 * (double)done / (double)total);
    if (events > 0 && elapsed > 0)
        fprintf(stderr, ", %.0f a second", (double)events / elapsed);
    if (total > done && done > 0)
        write_left((uint64_t)(elapsed * (double)(total - done) / (double)done));
    fflush(stderr);
    progress->standing = true;
    progress->written = time;
}

void progress_clear(struct progress *progress)
{
    if (!progress->standing)
        return;
    fputs("\r\033[K", stderr);
    progress->standing = false;
}
