/*
 * stele/projection.h - read models that follow the log.
 *
 * A projection is a constant table: a name, a version, and a typed function for
 * each type of event. What it writes to is one of four kinds:
 *
 *     IN_STORE    views in the store itself, written in the transaction of each append: never behind
 *     IN_FILE     views in an SQLite file, in batches; effect and position commit together, so each event has its
 *                 effect exactly once, whatever is killed
 *     IN_MEMORY   a struct of the program, folded anew when the program starts
 *     OUT         anything else: at least once, each time with the same delivery id
 *
 *     @example projection
 *     #define PUT_IN(FIELD, T) FIELD(T, TEXT, account) FIELD(T, INT64, amount)
 *     STELE_DECLARE(put_in, PUT_IN);
 *     STELE_DEFINE_EVENT(put_in, "purse.put_in", 1, PUT_IN);
 *
 *     #define PURSE(FIELD, T) FIELD(T, TEXT, account) FIELD(T, INT64, amount)
 *     STELE_DECLARE_VIEW(purse, PURSE);
 *     STELE_DEFINE_VIEW(purse, "purse", 1, PURSE, "account");
 *
 *     static stele_status add(stele_views *views, const struct put_in *event, stele_projecting *at)
 *     {
 *         struct purse row = {.account = event->account};
 *         stele_status status = purse_get(views, &row, stele_projecting_arena(at), &row, NULL);
 *         if (status != STELE_OK && status != STELE_NOT_FOUND)
 *             return status;
 *         row.account = event->account;
 *         row.amount += event->amount;
 *         return purse_upsert(views, &row, stele_projecting_error(at));
 *     }
 *     STELE_DEFINE_PROJECT(add, put_in)
 *
 *     static const struct stele_projection_on purses_on[] = {{&put_in_type, add_project}};
 *     static const struct stele_view *const purses_views[] = {&purse_view, NULL};
 *     static const struct stele_projection purses = {
 *         .name = "purses",
 *         .version = 1,
 *         .kind = STELE_PROJECTION_IN_FILE,
 *         .on = purses_on,
 *         .on_count = 1,
 *         .views = purses_views,
 *     };
 *
 *     stele_status follow(stele_store *store, stele_runtime *runtime, stele_projections **out, stele_error **error)
 *     {
 *         struct stele_projections_options options = STELE_OPTIONS_INIT(struct stele_projections_options);
 *         options.file = "purses.db";
 *         stele_status status = stele_projections_new(store, runtime, &options, out, error);
 *         return status == STELE_OK ? stele_projections_add(*out, &purses, NULL, error) : status;
 *     }
 *     @end
 *
 * All kinds but IN_STORE are subscriptions (stele/subscription.h), named "NAME:VERSION": they catch
 * up, go live, try again, park or stop, each by itself.
 *
 * The version says which shape and meaning the read model has. When a projection
 * is added whose stored version is another, the new one is built *beside* the
 * old, which is there to be read until the new one has come to the head of the log:
 * then they are swapped in one transaction. The old one is kept until the next
 * swap, and can be had back: stele_projections_rollback(). That is IN_FILE; IN_STORE is
 * built anew in one transaction, and OUT begins again, knowing what is a replay.
 *
 * Functions of projections IN_STORE are called by whoever appends, in the transaction,
 * while nobody else appends; those IN_FILE with the store's own file, too. Functions IN_MEMORY are called while the model is
 * held (stele_projections_hold()). They must not append to the store, nor wait for anything.
 *
 * An object of this kind is thread-safe, but for being freed.
 */
#ifndef STELE_PROJECTION_H
#define STELE_PROJECTION_H

#include <stele/base.h>
#include <stele/bus.h>
#include <stele/error.h>
#include <stele/memory.h>
#include <stele/message.h>
#include <stele/model.h>
#include <stele/retry.h>
#include <stele/runtime.h>
#include <stele/store.h>
#include <stele/subscription.h>
#include <stele/type.h>
#include <stele/view.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Functions of events ------------------------------------------------------------ */

/* The event being projected. Valid until the function returns. */
typedef struct stele_projecting stele_projecting;

/* Its envelope. */
STELE_API const stele_message *stele_projecting_message(const stele_projecting *at);
/* An arena for the call; emptied after it. */
STELE_API stele_arena *stele_projecting_arena(stele_projecting *at);
/* Where to put an error; it says what became of the event if the function fails. */
STELE_API stele_error **stele_projecting_error(stele_projecting *at);
/* Fail with a text in the manner of printf; returns `status`. */
STELE_API stele_status stele_projecting_fail(stele_projecting *at, stele_status status, const char *format, ...)
    STELE_PRINTF(3, 4);
/* For OUT: the same whenever this event comes to this projection, and never for another:
 * "NAME:POSITION" or "NAME:POSITION:PART"; valid until the function returns. */
STELE_API const char *stele_projecting_delivery(stele_projecting *at);
/* True below the mark of the version before: an effect outside (a letter, a payment) has been made by that one already,
 * and must not be made again. */
STELE_API bool stele_projecting_is_replay(const stele_projecting *at);

/* `model` is stele_views for IN_STORE and IN_FILE, otherwise what the projection was added with. */
typedef stele_status stele_project(void *model, const void *event, stele_projecting *at);

/* Define `NAME_project` from a typed function
 * `stele_status NAME(stele_views *views, const struct TYPE *event, stele_projecting *at)`. */
#define STELE_DEFINE_PROJECT(name, type) STELE__DEFINE_PROJECT(name, type, stele_views)
/* The same for `stele_status NAME(struct MODEL *model, const struct TYPE *event, stele_projecting *at)`. */
#define STELE_DEFINE_PROJECT_WITH(name, type, model_type) STELE__DEFINE_PROJECT(name, type, struct model_type)
#define STELE__DEFINE_PROJECT(name, type, model_type) \
    static stele_status name##_project(void *untyped_model, const void *untyped, stele_projecting *at) \
    { \
        model_type *model = (model_type *)untyped_model; \
        const struct type *event = (const struct type *)untyped; \
        return name(model, event, at); \
    }

/* --- Projections --------------------------------------------------------------------- */

enum stele_projection_kind {
    STELE_PROJECTION_IN_FILE,
    STELE_PROJECTION_IN_STORE,
    STELE_PROJECTION_IN_MEMORY,
    STELE_PROJECTION_OUT
};

/* What is done with one type of event. The payload is read in the type's present version. */
struct stele_projection_on {
    const struct stele_type *type;
    stele_project *project;
};

/* A projection; constant, and there as long as what it is added to. */
struct stele_projection {
    const char *name; /* letters, digits, '_', '-' and '.'; at most STELE_PROJECTION_NAME_MAX bytes */
    uint32_t version; /* from 1 */
    enum stele_projection_kind kind;
    const struct stele_projection_on *on; /* each type once; others are passed over, and count as seen */
    size_t on_count;
    const char *category;                  /* streams whose names begin with this; NULL: all */
    const struct stele_view *const *views; /* made when there; NULL at the end; of no other projection */

    /* Of IN_MEMORY: bring the model back to the beginning. Called before the first event, each time it is folded. What its
     * functions have done is not taken back: one that fails must have changed nothing. */
    void (*reset)(void *model);

    enum stele_start start; /* of OUT: FIRST or NOW; all others fold the whole log */
    size_t batch;           /* as in struct stele_subscriber */
    const struct stele_retry *retry;
    /* As in struct stele_subscriber. IN_STORE knows no policy: what fails there has the append refused, with its status. */
    enum stele_poison_policy on_failure;
};
#define STELE_PROJECTION_NAME_MAX 100

/* Projections of one store, running. */
typedef struct stele_projections stele_projections;

struct stele_projections_options {
    size_t size;
    const char *file; /* the SQLite file of IN_FILE; NULL: the store's own file */
};

/* Nothing runs yet. Store and runtime must outlive it. STELE_INVALID, STELE_NO_MEMORY. */
STELE_API stele_status stele_projections_new(stele_store *store, stele_runtime *runtime,
                                             const struct stele_projections_options *options, stele_projections **out,
                                             stele_error **error);
/* Stop all, at the end of their batches, and free; NULL is allowed. Not to be called by a projection, and no other thread
 * may be in a call. */
STELE_API void stele_projections_free(stele_projections *projections);

/*
 * Add a projection, and start it. `model` is for IN_MEMORY and OUT; NULL for
 * the others. One that is IN_STORE catches up before this returns; the others while they run. STELE_INVALID
 * names what is wrong with it: its name or one that is taken, a type twice, views where there are none; a
 * read model changed by hand so that it does not fit; STELE_CONFLICT if the
 * read model is ahead of the log (a restored backup), with "position" and "head"; as
 * stele_views_open(), stele_view_create() and stele_subscription_start().
 */
STELE_API stele_status stele_projections_add(stele_projections *projections, const struct stele_projection *projection,
                                             void *model, stele_error **error);
/* The same for an SQL file (stele/model.h), IN_FILE. The model must outlive the projections. */
STELE_API stele_status stele_projections_add_model(stele_projections *projections, const stele_model *model,
                                                   stele_error **error);

/* --- Reading -------------------------------------------------------------------------- */

/* Open the views for reading: a handle of the caller's own, see stele_views_open(). `name` is a projection with views. */
STELE_API stele_status stele_projections_open(stele_projections *projections, const char *name, stele_views **out,
                                              stele_error **error);
/* Between the two the model of a projection IN_MEMORY does not change; short, and not from inside a projection. Those who
 * wait for it get it in turn. In a simulation that runs while it is held, the projection does not wait, but fails and tries
 * again. STELE_NOT_FOUND for a name that is none; STELE_INVALID for another kind. */
STELE_API stele_status stele_projections_hold(stele_projections *projections, const char *name, stele_error **error);
STELE_API void stele_projections_release(stele_projections *projections, const char *name);

/*
 * Wait until the projections named (NULL at the end; NULL: all) have come to a
 * position. STELE_LATE, with "projection", if one has not after `timeout_ms`: what is
 * in the log stays there, and the view comes later. STELE_FAILED and STELE_CANCELLED as
 * stele_subscription_wait(); STELE_NOT_FOUND.
 */
STELE_API stele_status stele_projections_wait(stele_projections *projections, const char *const *names,
                                              uint64_t position, uint32_t timeout_ms, stele_error **error);

/*
 * Send a command of an aggregate and wait until the projections named have seen
 * its events: stele_request() and stele_projections_wait() in one, within one time (that of the
 * options, or the bus). STELE_LATE: the command was accepted, and `*reply` (may be NULL) is there, but a view is late; do
 * not send it again. Any other failure of waiting is reported in the same way, as what it is: `*reply`, NULL before the
 * call, tells. A reply that is no stele_accepted is waited for as if its events were the last ones of the log.
 */
STELE_API stele_status stele_projections_request(stele_projections *projections, const char *const *names,
                                                 stele_bus *bus, const stele_message *command,
                                                 const struct stele_send_options *options, stele_message **reply,
                                                 stele_error **error);

/*
 * A model IN_MEMORY as it was: reset, and folded up to `until` in the caller's thread. Of that query the members that say
 * where to end (`until`, `until_time`) and of which streams (`stream`, `category`; with neither, the projection's) are used,
 * others are STELE_INVALID; NULL is all. No projections need to run. The first failure of a function ends it, and is returned:
 * the model is then what it was before that event. Errors as stele_read().
 */
STELE_API stele_status stele_project_until(stele_store *store, const struct stele_projection *projection, void *model,
                                           const struct stele_query *until, stele_error **error);

/* --- Health --------------------------------------------------------------------------- */

/* A projection in numbers; lent for the visit. */
struct stele_projection_stats {
    const char *name;
    uint32_t version;
    enum stele_projection_kind kind;
    bool is_building;                        /* beside an older version, which is read meanwhile */
    uint32_t old_version;                    /* of that one; 0: there is none */
    struct stele_subscription_stats running; /* of IN_STORE: LIVE, at the head */
};
/* Call `visit` for each projection in order of adding until it returns false; it must not call the projections. */
typedef bool stele_projection_visit(void *context, const struct stele_projection_stats *stats);
STELE_API stele_status stele_projections_visit(stele_projections *projections, stele_projection_visit *visit,
                                               void *context, stele_error **error);
/* The subscription of a projection, to pause or resume it; NULL for IN_STORE and for a name that is none. */
STELE_API stele_subscription *stele_projections_subscription(stele_projections *projections, const char *name);

/* --- Building anew ----------------------------------------------------------------------- */

/*
 * Build a projection anew from the log. What is there serves, as it is, until the new one has come to the
 * head of this moment, and is swapped then; the call returns at once, and stele_projections_wait() waits for
 * it. IN_MEMORY is held, reset, and let go when it is there (or paused, or failing); IN_STORE is built
 * within one transaction before this returns, while which nothing is appended. STELE_INVALID for OUT, and while one is
 * being built.
 */
STELE_API stele_status stele_projections_rebuild(stele_projections *projections, const char *name, stele_error **error);

/*
 * Put the version before the last swap back, with its position: it is what is read then, and the
 * projection, if that is of another version, has failed until it is added again in that one (or until a second call, which
 * undoes the first, and stele_subscription_resume()). STELE_NOT_FOUND if
 * none is kept (in a store in memory: ever); STELE_INVALID for all but IN_FILE, and while one is being built.
 */
STELE_API stele_status stele_projections_rollback(stele_projections *projections, const char *name,
                                                  stele_error **error);

#ifdef __cplusplus
}
#endif

#endif
