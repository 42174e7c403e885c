/*
 * A store in memory as a disk that outlives processes: it can be cut off from
 * the process that dies, at any of its writes, and it has bad weather.
 *
 *     dying process ──writes──► cut: fails from now on ... bus and runtime are thrown away ... joined again
 *
 * All that goes to the store goes on to the memory backend, unless it fails here.
 */
#ifndef STELE_TESTS_SIM_DISK_H
#define STELE_TESTS_SIM_DISK_H

#include "tests/sim/sim.h"

#include <stele/store.h>

struct disk {
    stele_store *store;
    bool is_cut;         /* whoever writes and reads is dying */
    uint64_t cut_in;     /* so many writes from now it is cut, at the last of them; 0: never */
    bool cuts_behind;    /* that write is done, but nobody hears of it */
    unsigned weather;    /* percent of reads of the log and of checkpoint writes that fail */
    unsigned lost_words; /* percent of appends whose outcome is not told: STELE_UNKNOWN */
    uint64_t writes;
    /* Told of each checkpoint that is written; may be NULL. */
    void (*checkpointed)(const char *name, uint64_t position);
};
extern struct disk disk;

void disk_open(void);
void disk_close(void);
/* The last position. */
uint64_t disk_head(void);

#endif
