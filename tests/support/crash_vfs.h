/*
 * A disk in memory that loses power, and the SQLite VFS on top of it.
 *
 * Each file has two layers: what programs see (cached) and what is on the disk
 * (durable). A write goes to the first; a sync brings it to the second. Names
 * are durable by themselves: a file made or deleted is so on disk only after
 * its folder is synced. Every create, delete, write, truncate and sync is an
 * operation with a number, and each number is a place where power can fail:
 *
 *     programs -> SQLite -> VFS -> operation n -> cached
 *                                       |-> pending ----sync----> durable
 *                                                |
 *                       power fails: durable + some damage of pending = image
 *
 * A disk can record its operations. A crash_replay walks a recording and gives
 * the image after every operation without running the workload again.
 *
 * All functions are thread-safe, except those on images and replays, which
 * belong to one thread. Memory is malloc's: when it is out, the program ends.
 */
#ifndef STELE_TESTS_CRASH_VFS_H
#define STELE_TESTS_CRASH_VFS_H

#include <stele/clock.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- Disks -------------------------------------------------------------------- */

struct crash_disk;

struct crash_options {
    unsigned sector;       /* bytes: 512 or 4096 */
    bool power_safe;       /* a torn write leaves the bytes beside it alone (SQLite's "powersafe overwrite") */
    bool recording;        /* keep every operation */
    bool swallows_syncs;   /* syncs succeed and do nothing: a control */
    unsigned nap_permille; /* how many of 1,000 lock, shared-memory and sync calls sleep first */
    unsigned nap_max;      /* microseconds */
    uint64_t seed;         /* of naps and of SQLite's random numbers */
};

/* A new, empty disk, registered as an SQLite VFS of this name (static text). */
struct crash_disk *crash_disk_new(const char *name, const struct crash_options *options);
/* Every file on it must be closed. */
void crash_disk_free(struct crash_disk *disk);
/* Make it empty and forget operations and faults; every file on it must be closed. */
void crash_disk_format(struct crash_disk *disk, const struct crash_options *options);

/* Operations done or tried since it was new or formatted. */
size_t crash_disk_operations(const struct crash_disk *disk);

/* A clock that stands still, except that it moves by what is paused: the VFS's xSleep() and its own pause(). */
const struct stele_clock *crash_disk_clock(struct crash_disk *disk);

/* --- Faults --------------------------------------------------------------------- */

enum crash_fault {
    CRASH_NO_FAULT,
    CRASH_IO_ERROR,    /* the operation fails */
    CRASH_DISK_FULL,   /* writes and creations fail for lack of space; other operations work */
    CRASH_SHORT_WRITE, /* half of a write is done, then the disk is full; other operations fail */
    CRASH_LYING_SYNC,  /* a sync fails and drops what was pending, while reads still see it; other operations work */
    CRASH_POWER_CUT    /* nothing works from here on, reads neither */
};

/* From operation `at` on (1 is the first), once or for ever. CRASH_NO_FAULT heals the disk. */
void crash_disk_fail(struct crash_disk *disk, enum crash_fault fault, size_t at, bool for_ever);
/* Whether the fault has struck. */
bool crash_disk_failed(const struct crash_disk *disk);

/* --- What is left --------------------------------------------------------------- */

enum crash_damage {
    CRASH_ALL_LOST,  /* nothing that was not synced */
    CRASH_ALL_KEPT,  /* all of it: the program died, the machine did not */
    CRASH_SECTORS,   /* each sector written or not, by chance */
    CRASH_TORN,      /* all up to some operation, which is half done */
    CRASH_REORDERED, /* some operations done, others, earlier or later, not */
    CRASH_DAMAGES
};

const char *crash_damage_name(enum crash_damage damage);

struct crash_image_file {
    char name[64];
    unsigned char *bytes;
    size_t size;
    size_t room;
};

enum { CRASH_FILES_MAX = 16 };

/* The files of a disk as they are found after the power is back. Starts all zero. */
struct crash_image {
    struct crash_image_file files[CRASH_FILES_MAX];
    size_t count;
};

void crash_image_fini(struct crash_image *image);
uint64_t crash_image_hash(const struct crash_image *image);
struct crash_image_file *crash_image_find(struct crash_image *image, const char *name);

/* What the present disk would leave if power failed now; `*random` is the state of the dice. */
void crash_disk_image(struct crash_disk *disk, enum crash_damage damage, uint64_t *random, struct crash_image *out);
/* Put an image on a disk, all of it durable. Every file on it must be closed. */
void crash_disk_load(struct crash_disk *disk, const struct crash_image *image);

/* The dice: the next number, and the next below a limit that is not 0. */
uint64_t crash_random(uint64_t *state);
uint64_t crash_random_below(uint64_t *state, uint64_t limit);

/* --- Replays ----------------------------------------------------------------------- */

struct crash_replay;

/* At operation 0 of what `disk` has recorded; the disk must outlive it and not change. */
struct crash_replay *crash_replay_new(struct crash_disk *disk);
void crash_replay_free(struct crash_replay *replay);
/* One operation on; false at the end. */
bool crash_replay_step(struct crash_replay *replay);
/* Operations done. */
size_t crash_replay_done(const struct crash_replay *replay);
/* The image if power failed now, while the next operation was in flight. */
void crash_replay_image(struct crash_replay *replay, enum crash_damage damage, uint64_t *random,
                        struct crash_image *out);

#endif
