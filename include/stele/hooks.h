/*
 * stele/hooks.h - being told what a store does, where and when it does it.
 *
 *     @example hooks
 *     static void count_commit(void *context, const struct stele_hook_commit *commit)
 *     {
 *         uint64_t *events = context;
 *         *events += commit->events;
 *     }
 *
 *     static uint64_t events;
 *     static const struct stele_hooks hooks = {
 *         .size = sizeof(hooks),
 *         .context = &events,
 *         .commit = count_commit,
 *     };
 *
 *     stele_status open_counted(stele_store **out, stele_error **error)
 *     {
 *         struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
 *         options.hooks = &hooks;
 *         return stele_store_open("sqlite:ledger.db", &options, out, error);
 *     }
 *     @end
 *
 * A hook is told after the fact and returns nothing, so it can neither fail nor
 * delay what it is told of; a slow one delays the thread it is called in.
 * No lock is held meanwhile: a hook may call the store, except to close it or
 * to flush it. What it does there is told to no hook, so that it cannot call
 * itself for ever; only its commits are counted with the next ones.
 *
 * Which thread calls is said at each hook. Several may be in the same hook at
 * once. What a hook is given is lent to it for the call.
 */
#ifndef STELE_HOOKS_H
#define STELE_HOOKS_H

#include <stele/base.h>
#include <stele/error.h>
#include <stele/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An append that was acknowledged, and wrote events. */
struct stele_hook_appended {
    const struct stele_write *writes; /* streams and events; the first has the position result->first_position, */
    size_t write_count;               /* each other the next one */
    const struct stele_appended *result;
};

/* What was committed: one group. More only if the thread that led had to lead on until its own append was done, or if
 * hooks had appended meanwhile. */
struct stele_hook_commit {
    size_t groups;       /* transactions, each with one sync */
    size_t appends;      /* calls that shared them, whatever became of each */
    size_t events;       /* given with those calls, written or refused */
    size_t bytes;        /* payloads and attributes of these */
    int64_t nanoseconds; /* in the backend */
    size_t queued;       /* appends that wait for the next one: the queue's depth */
};

/* Where the state of a load began. */
enum stele_load_source {
    STELE_LOADED_FROM_EVENTS,   /* at nothing */
    STELE_LOADED_FROM_SNAPSHOT, /* at what the store kept */
    STELE_LOADED_FROM_CACHE     /* at what the repository kept */
};

/* An aggregate that was loaded. */
struct stele_hook_loaded {
    const char *aggregate; /* name of the state's type */
    const char *stream;
    uint64_t version; /* that was reached */
    enum stele_load_source source;
    uint64_t from;   /* the version the source was at; 0 for events */
    uint64_t folded; /* events read and folded on top of it */
};

/* Why a snapshot was thrown away. */
enum stele_discard_reason {
    STELE_DISCARD_SHAPE,   /* its fingerprint is that of another state type */
    STELE_DISCARD_DAMAGED, /* its row or its bytes cannot be read */
    STELE_DISCARD_BEYOND   /* its version is beyond the stream's */
};

/* A snapshot that was saved, loaded or discarded. */
struct stele_hook_snapshot {
    const char *aggregate;
    const char *stream;
    uint64_t version;                 /* 0 for a row that could not be read */
    size_t bytes;                     /* of the encoded state; 0 as well */
    enum stele_discard_reason reason; /* of a discarded one */
};

/* A table of functions; those that are NULL are not called. It must outlive the store. */
struct stele_hooks {
    size_t size;
    void *context;
    /* In the thread that appended, before its call returns; for an asynchronous append in the thread that calls its
     * done function, before that. */
    void (*appended)(void *context, const struct stele_hook_appended *appended);
    /* An append was refused because of a version. In the same threads. */
    void (*conflict)(void *context, const struct stele_conflict *conflict);
    /* In whichever thread led the group: one that appends, or the store's own. */
    void (*commit)(void *context, const struct stele_hook_commit *commit);
    /* In the thread that loads. */
    void (*loaded)(void *context, const struct stele_hook_loaded *loaded);
    void (*snapshot_loaded)(void *context, const struct stele_hook_snapshot *snapshot);
    void (*snapshot_discarded)(void *context, const struct stele_hook_snapshot *snapshot);
    /* In the store's thread that writes snapshots. */
    void (*snapshot_saved)(void *context, const struct stele_hook_snapshot *snapshot);
};

#ifdef __cplusplus
}
#endif

#endif
