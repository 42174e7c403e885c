/*
 * What the memory backend keeps: records that never change and never move, and
 * arrays of pointers to them, one for the global order and one for each stream.
 * An array that grows leaves its old block in place, so whoever has seen a
 * block and a count under the lock may read that far without it.
 */
#ifndef STELE_MEMORY_LOG_H
#define STELE_MEMORY_LOG_H

#include <stele/spi/store.h>

#include "base/arena.h"
#include "base/map.h"

/* Records in order: the one at index i is version, or position, i + 1. */
struct memory__sequence {
    const struct stele_record **records;
    size_t count;
    size_t capacity;
};

struct memory__stream {
    struct stele_slice name;
    struct memory__sequence events; /* none: the stream does not exist yet */
    size_t pending;                 /* events of the append under way */
};

/* A type's name, once for all its events. */
struct memory__type {
    struct stele_slice name;
    struct memory__type *fresh; /* the next one that came with the append under way */
};

struct memory__log {
    struct memory__sequence events;
    struct stele__map streams; /* name to struct memory__stream */
    struct stele__map types;   /* name to struct memory__type */
    struct memory__type *fresh;
    struct stele__map texts; /* ids to records */
    struct stele__map uuids;
    struct stele_arena arena;
    size_t stream_count; /* that exist */
};

void memory__log_init(struct memory__log *log);
void memory__log_fini(struct memory__log *log);

/* The stream of that name if it exists, else NULL. */
struct memory__stream *memory__log_stream(const struct memory__log *log, struct stele_slice name);

/* The record with the id of `wanted`, or NULL. */
const struct stele_record *memory__log_find(const struct memory__log *log, const struct stele_record *wanted);

/* Enter a member's records, all or (false: memory is out) none, behind what can be seen. */
bool memory__log_enter(struct memory__log *log, const struct stele_append_member *member);
/* The index-th of what was entered. */
const struct stele_record *memory__log_entered(const struct memory__log *log, size_t index);
/* Let all see what was entered, and fill the member's result. */
void memory__log_publish(struct memory__log *log, struct stele_append_member *member);
/* Or take it out again. */
void memory__log_take_back(struct memory__log *log, size_t count);

#endif
