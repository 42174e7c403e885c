/*
 * The inside of a repository and its instances, for the files of this folder.
 *
 *   aggregate.c   checks a table
 *   repository.c  a table bound to a store; loading
 *   instance.c    one aggregate in memory: folding events into its state
 *   decision.c    a command becomes pending events
 *   save.c        pending events become stored ones
 *   execute.c     load, decide, save; again on a conflict
 *   snapshot.c    where a load may begin, and what it leaves for the next
 *   cache.c       states kept in memory
 *   fingerprint.c what a stored state must fit
 *   counts.c      what a repository did
 */
#ifndef STELE_AGGREGATE_AGGREGATE_H
#define STELE_AGGREGATE_AGGREGATE_H

#include <stele/aggregate.h>
#include <stele/hooks.h>

#include "aggregate/cache.h"
#include "aggregate/counts.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "base/map.h"
#include "base/vector.h"

/* A row of the table as folding needs it. */
struct stele__row {
    const struct stele_evolution *evolution;
    struct stele_slice name; /* of the event's type */
    bool is_fleeting;        /* nothing of the event can be kept by the state: it need not outlive evolve */
};

enum { STELE__FINGERPRINT_SIZE = 16 };

struct stele_repository {
    stele_store *store;
    const struct stele_aggregate *aggregate;
    const struct stele_clock *clock;
    char *source;
    enum stele_unknown unknown;
    bool remembers_commands;
    bool owns_memory; /* the state has an ARENA field: what it holds there cannot be found and copied */
    struct stele__row *rows;
    struct stele__map by_name;
    uint64_t snapshot_every; /* events; 0: no snapshots */
    uint8_t fingerprint[STELE__FINGERPRINT_SIZE];
    struct stele__cache *cache; /* NULL: none */
    struct stele__counts *counts;
};

struct stele_instance {
    const stele_repository *repository;
    struct stele_arena memory;     /* what the state points to */
    struct stele_arena scratch;    /* a command, and events that are fleeting; reset after each use */
    size_t compact_at;             /* bytes of `memory` from which on its garbage is worth collecting */
    uint64_t stored_version;       /* of the stream, as far as it was folded */
    uint64_t snapshot_version;     /* of the newest snapshot that was found, or offered to be written */
    int64_t latest;                /* time of the latest event that was folded */
    struct stele__vector pending;  /* stele_message *, each with our reference */
    const struct stele__row *last; /* the row of the last event: the next is often of the same type */
    bool has_decision_time;        /* `decision_time` is the time of what is decided, not the clock */
    int64_t decision_time;
    size_t allocated;
    void *state;
    char *stream;
    _Alignas(max_align_t) char bytes[]; /* the state, the name */
};

/* What to load, and on which event to keep an eye. */
struct stele__loading {
    bool or_new;
    uint64_t until; /* the last version folded; 0 gives a new instance without reading */
    bool has_time;
    int64_t time;
    const struct stele_uuid *watched; /* an event id, or NULL; the two below are about it */
    uint64_t watched_version;         /* 0: it is not in what was loaded */
    int64_t watched_time;
    enum stele_load_source source; /* where folding begins; set by stele__recall() */
    uint64_t from;                 /* the version there */
    bool discards;                 /* a stored snapshot turned out to be of no use */
    bool has_gaps;                 /* upcasters made nothing of an event that was passed */
};

stele_status stele__load(const stele_repository *repository, const char *stream, struct stele__loading *loading,
                         stele_instance **out, stele_error **error);

/* The row for an event type; NULL if the table has none of that name. */
const struct stele__row *stele__repository_row(const stele_repository *repository, struct stele_slice type);

stele_status stele__instance_new(const stele_repository *repository, const char *stream, stele_instance **out,
                                 stele_error **error);

/* Fold a stored event, which is lent, into the state. STELE_UNKNOWN_TYPE, STELE_CORRUPT: unchanged. STELE_NO_MEMORY: fit
 * only to be freed. */
stele_status stele__instance_fold(stele_instance *instance, const stele_message *message, stele_error **error);

/* Decode an event so that it lives until evolve is done with it, and as long as the instance if the state may keep it. */
stele_status stele__instance_decode(stele_instance *instance, const struct stele__row *row,
                                    const stele_message *message, void **event, stele_error **error);

/* Make the state that of an encoded one (STELE_MALFORMED, STELE_INVALID, STELE_LIMIT: the bytes), or a copy of another.
 * On failure the instance is as new. */
stele_status stele__instance_restore(stele_instance *instance, struct stele_slice bytes, stele_error **error);
stele_status stele__instance_copy(stele_instance *instance, const void *state, stele_error **error);

/* Make an instance without pending events as new: all zero, at version 0. */
void stele__instance_reset(stele_instance *instance);

/* Collect the garbage in the instance's memory if there may be enough of it. */
void stele__instance_tidy(stele_instance *instance);

/* Forget the pending events. */
void stele__instance_clear_pending(stele_instance *instance);

/* Become what `fresh`, of the same stream, is; `fresh` is left to be freed. */
void stele__instance_replace(stele_instance *instance, stele_instance *fresh);

/*
 * Begin a load at the best place there is: sets the instance's state and
 * version and `loading->source`. STELE_OK with nothing done if there is none;
 * STELE_NO_MEMORY, and what reading from the store fails with.
 */
stele_status stele__recall(stele_instance *instance, struct stele__loading *loading, stele_error **error);

/* The stream is shorter than the version that was recalled: forget it, and be at nothing. */
void stele__recall_was_wrong(stele_instance *instance, struct stele__loading *loading);

/* Keep the newest state of a stream, without pending events, for loads to come. `replaces`: the stored snapshot is to
 * be replaced, whatever its version. */
void stele__remember(stele_instance *instance, bool replaces);

/* The text that a fingerprint is made of, appended to a buffer; false when memory is out. `upcasting` may be NULL. */
struct stele__upcasting;
bool stele__fingerprint_text(const struct stele_aggregate *aggregate, enum stele_unknown unknown,
                             const struct stele__upcasting *upcasting, struct stele__buffer *text);
stele_status stele__fingerprint(const struct stele_aggregate *aggregate, enum stele_unknown unknown,
                                const struct stele__upcasting *upcasting, uint8_t out[STELE__FINGERPRINT_SIZE],
                                stele_error **error);

/* The id of the n-th event (from 0) that a command makes in a stream. */
struct stele_uuid stele__event_id(const stele_message *command, const char *stream, size_t ordinal);

/* The command that a saving is the outcome of, for the ledger. */
struct stele__handled {
    const stele_message *command;
    const uint8_t *digest; /* of all that it stands for */
    const char *rejection; /* it was refused: the pending events are not saved, but the versions are checked; or NULL */
};

/*
 * stele_save(), and remembering of `handled` unless that is NULL. On a
 * repetition without `reload`, when the command was handled before, and after a
 * rejection, the instances are fit for nothing but to be freed.
 */
stele_status stele__save(stele_instance *const *instances, size_t count, bool reload,
                         const struct stele__handled *handled, struct stele_appended *result, stele_error **error);

#endif
