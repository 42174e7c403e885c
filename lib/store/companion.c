/*
 * The store's own write transactions, and what takes part in those of appends.
 *
 *     join:    gate ─► BEGIN ─ a batch of what is missing, applied ─ checkpoint moved ─ COMMIT ─► until none is: taken in
 *     append:  backend ─► begin: what others appended meanwhile, applied ─► apply, record by record
 *                      ─► commit: checkpoints moved ─► end
 *
 * A record is read as every reader's: through the upcasters, once for all
 * participants; the library's own streams are not shown. What can fail: what
 * is applied, a checkpoint that is not where it must be, the backend, memory.
 */
#include "store/companion.h"

#include "base/error.h"
#include "base/fork.h"
#include "base/memory.h"
#include "base/text.h"
#include "store/reading.h"

#include <inttypes.h>
#include <sched.h>
#include <string.h>

struct stele__companion {
    struct stele_companion base;
    struct stele_store *store;
    struct stele__participant *first;
    struct stele__reading reading;
};

/* --- Transactions ----------------------------------------------------------------------- */

/* In the gate. */
static stele_status begin(stele_store *store, uint64_t *head, stele_error **error)
{
    const struct stele_store_transactions *transactions = store->ops->transactions;
    stele_status status = transactions->begin(store->backend, head, error);

    if (status != STELE_OK || !store->annex)
        return status;
    status = store->annex->begin(store->annex, error);
    if (status != STELE_OK)
        transactions->roll_back(store->backend, false);
    return status;
}

static void roll_back(stele_store *store, bool broken)
{
    if (store->annex)
        store->annex->roll_back(store->annex);
    store->ops->transactions->roll_back(store->backend, broken);
}

static stele_status commit_annex(stele_store *store, stele_error **error)
{
    return store->annex ? store->annex->commit(store->annex, error) : STELE_OK;
}

static stele_status check_transactions(const stele_store *store, stele_error **error)
{
    const stele_status status = stele__store_check_writable(store, error);

    if (status == STELE_OK && !store->ops->transactions)
        return stele__fail_argument(error, "store", "has no room for views");
    return status;
}

stele_status stele__store_begin(stele_store *store, stele_error **error)
{
    uint64_t head = 0;
    stele_status status = check_transactions(store, error);

    if (status != STELE_OK)
        return status;
    stele__store_enter(store);
    status = begin(store, &head, error);
    if (status != STELE_OK)
        stele__store_leave(store);
    return status;
}

stele_status stele__store_commit(stele_store *store, stele_error **error)
{
    stele_status status = commit_annex(store, error);

    if (status == STELE_OK)
        status = store->ops->transactions->commit(store->backend, error);
    else
        roll_back(store, false);
    stele__store_leave(store);
    return status;
}

void stele__store_roll_back(stele_store *store, bool broken)
{
    roll_back(store, broken);
    stele__store_leave(store);
}

/* --- Applying ---------------------------------------------------------------------------- */

static stele_status call(struct stele__companion *companion, struct stele__participant *participant,
                         const stele_message *message, stele_error **error)
{
    stele_error *why = NULL;
    stele_status status;

    companion->store->applying = true;
    status = participant->apply(participant, message, &why);
    companion->store->applying = false;
    if (status == STELE_OK || !error) {
        stele_error_free(why);
        return status;
    }
    *error = why;
    if (!why)
        stele__fail(error, status, "\"%s\" refuses the event without saying why", participant->name);
    return status;
}

/* Is a record shown to participants? Then it is read. */
static stele_status take(struct stele__companion *companion, const struct stele_record *record, bool *shown,
                         stele_error **error)
{
    *shown = !stele__stream_is_own(record->stream);
    return *shown ? stele__reading_take(&companion->reading, record, error) : STELE_OK;
}

static stele_status show(struct stele__companion *companion, struct stele__participant *participant,
                         stele_error **error)
{
    const struct stele__reading *reading = &companion->reading;
    stele_status status = STELE_OK;

    for (size_t i = 0; i < reading->count && status == STELE_OK; i++)
        status = call(companion, participant, &reading->messages[i], error);
    return status;
}

/* --- Catching up -------------------------------------------------------------------------- */

struct catching_up {
    struct stele__companion *companion;
    struct stele__participant *participant;
    stele_status status;
    stele_error *error;
};

static bool apply_record(void *context, const struct stele_record *record)
{
    struct catching_up *up = context;
    bool shown = false;

    up->status = take(up->companion, record, &shown, &up->error);
    if (up->status == STELE_OK && shown)
        up->status = show(up->companion, up->participant, &up->error);
    if (up->status != STELE_OK && up->error && !stele_error_get(up->error, "position"))
        stele__error_add(&up->error, "position", "%" PRIu64, record->position);
    return up->status == STELE_OK;
}

/* Apply what is behind `*position`, at most `limit` events, up to `head`; `*position` moves along. */
static stele_status apply_range(struct stele__companion *companion, struct stele__participant *participant,
                                uint64_t head, uint64_t limit, uint64_t *position, stele_error **error)
{
    stele_store *store = companion->store;
    struct catching_up up = {.companion = companion, .participant = participant};
    struct stele_scan scan = {.until = head, .limit = limit};
    struct stele_scan_end end = {0};
    stele_status status = STELE_OK;

    /* A read may stop early; a batch need not be full. */
    do {
        scan.after = *position;
        status = store->ops->transactions->read(store->backend, &scan, apply_record, &up, &end, error);
        *position = end.done ? head : end.last;
    } while (status == STELE_OK && up.status == STELE_OK && limit == UINT64_MAX && !end.done);
    if (status != STELE_OK || up.status == STELE_OK) {
        stele_error_free(up.error);
        return status;
    }
    if (error)
        *error = up.error;
    else
        stele_error_free(up.error);
    return up.status;
}

static stele_status fail_beyond(const struct stele__participant *participant, uint64_t head, stele_error **error)
{
    stele__fail(error, STELE_CONFLICT,
                "checkpoint \"%s\" is at %" PRIu64 ", and the log ends at %" PRIu64
                ": the views are of another log; build them anew",
                participant->name, participant->stored, head);
    stele__error_add(error, "checkpoint", "%s", participant->name);
    stele__error_add(error, "position", "%" PRIu64, participant->stored);
    return STELE_CONFLICT;
}

/* Find the participant's checkpoint, in the transaction. */
static stele_status locate(const stele_store *store, struct stele__participant *participant, uint64_t head,
                           stele_error **error)
{
    const stele_status status =
        store->ops->transactions->position(store->backend, participant->name, &participant->stored, error);

    if (status == STELE_OK && participant->stored != STELE_NO_CHECKPOINT && participant->stored > head)
        return fail_beyond(participant, head, error);
    return status;
}

static stele_status move(const stele_store *store, const struct stele__participant *participant, uint64_t head,
                         stele_error **error)
{
    const struct stele_checkpoint checkpoint = {
        .name = participant->name, .position = head, .time = store->clock->now(store->clock->context)};

    return store->ops->transactions->move(store->backend, &checkpoint, participant->stored, error);
}

/* --- What the backend calls ------------------------------------------------------------------ */

/*
 * Whoever finds his checkpoint at the head has seen all; whoever left it there
 * himself need not even look, unless a wrong guess would be noticed too late: behind the annex's commit.
 */
static stele_status catch_up(struct stele__companion *companion, struct stele__participant *participant, uint64_t head,
                             stele_error **error)
{
    uint64_t position;
    stele_status status;

    participant->stored = participant->position;
    if (participant->position == head && !companion->store->annex)
        return STELE_OK;
    status = locate(companion->store, participant, head, error);
    if (status != STELE_OK)
        return status;
    if (participant->stored == STELE_NO_CHECKPOINT) {
        stele__fail(error, STELE_INVALID, "checkpoint \"%s\" was deleted while its views take part in appends",
                    participant->name);
        stele__error_add(error, "checkpoint", "%s", participant->name);
        return STELE_INVALID;
    }
    position = participant->stored;
    status = position == head ? STELE_OK : apply_range(companion, participant, head, UINT64_MAX, &position, error);
    if (status != STELE_OK)
        stele__error_prefix(error, "\"%s\" catches up first", participant->name);
    return status;
}

static stele_status companion_begin(struct stele_companion *base, uint64_t head, stele_error **error)
{
    struct stele__companion *companion = (struct stele__companion *)base;
    stele_store *store = companion->store;
    stele_status status = store->annex ? store->annex->begin(store->annex, error) : STELE_OK;

    for (struct stele__participant *each = companion->first; each && status == STELE_OK; each = each->next)
        status = catch_up(companion, each, head, error);
    return status;
}

static stele_status companion_apply(struct stele_companion *base, const struct stele_record *record,
                                    stele_error **error)
{
    struct stele__companion *companion = (struct stele__companion *)base;
    bool shown = false;
    stele_status status = take(companion, record, &shown, error);

    for (struct stele__participant *each = companion->first; each && shown && status == STELE_OK; each = each->next)
        status = show(companion, each, error);
    return status;
}

/* The annex goes first: behind it nothing fails where there is one. */
static stele_status companion_commit(struct stele_companion *base, uint64_t head, stele_error **error)
{
    struct stele__companion *companion = (struct stele__companion *)base;
    stele_status status = commit_annex(companion->store, error);

    for (struct stele__participant *each = companion->first; each && status == STELE_OK; each = each->next) {
        if (each->stored != head)
            status = move(companion->store, each, head, error);
        each->stored = head;
        if (status == STELE_CONFLICT)
            each->position = STELE_NO_CHECKPOINT;
    }
    return status;
}

static void companion_end(struct stele_companion *base, bool committed)
{
    const struct stele__companion *companion = (const struct stele__companion *)base;

    for (struct stele__participant *each = companion->first; each && committed; each = each->next)
        each->position = each->stored;
    if (companion->store->annex && !committed)
        companion->store->annex->roll_back(companion->store->annex);
}

/* --- Joining and leaving ----------------------------------------------------------------------- */

/* In the gate. */
static stele_status make_companion(stele_store *store, stele_error **error)
{
    struct stele__companion *companion;

    if (store->companion)
        return STELE_OK;
    companion = stele__alloc(sizeof(*companion));
    if (!companion)
        return stele__fail_memory(error);
    companion->base = (struct stele_companion){companion_begin, companion_apply, companion_commit, companion_end};
    companion->store = store;
    store->companion = companion;
    return stele__reading_init(&companion->reading, store, NULL, error);
}

static stele_status check_absent(const struct stele__companion *companion, const struct stele__participant *participant,
                                 stele_error **error)
{
    for (const struct stele__participant *each = companion->first; each; each = each->next)
        if (strcmp(each->name, participant->name) == 0) {
            stele__fail(error, STELE_INVALID, "\"%s\" takes part in the appends of this store already", each->name);
            stele__error_add(error, "checkpoint", "%s", each->name);
            return STELE_INVALID;
        }
    return STELE_OK;
}

/* A new participant's checkpoint is made at once, so that behind an annex's commit nothing is left that can fail. */
static stele_status find_start(stele_store *store, struct stele__participant *participant, uint64_t head, bool *is_new,
                               stele_error **error)
{
    stele_status status = locate(store, participant, head, error);

    *is_new = status == STELE_OK && participant->stored == STELE_NO_CHECKPOINT;
    if (!*is_new)
        return status;
    status = move(store, participant, 0, error);
    participant->stored = 0;
    return status;
}

/* A batch from `stored` to `position`, in a transaction that is begun and is ended here. */
static stele_status catch_up_by(stele_store *store, struct stele__participant *participant, uint64_t head, size_t batch,
                                uint64_t *position, stele_error **error)
{
    bool is_new = false;
    stele_status status = find_start(store, participant, head, &is_new, error);

    *position = participant->stored;
    if (status == STELE_OK && *position < head)
        status = apply_range(store->companion, participant, head, batch, position, error);
    if (status == STELE_OK)
        status = commit_annex(store, error);
    if (status == STELE_OK && *position != participant->stored)
        status = move(store, participant, *position, error);
    if (status == STELE_OK && (is_new || *position != participant->stored))
        return store->ops->transactions->commit(store->backend, error);
    roll_back(store, status == STELE_IO);
    return status;
}

/* In the gate: who has come to the head is taken in before anybody can append. */
static stele_status come_nearer(stele_store *store, struct stele__participant *participant, size_t batch, bool *joined,
                                stele_error **error)
{
    uint64_t position = 0;
    uint64_t head = 0;
    struct stele__participant **last;
    stele_status status = make_companion(store, error);

    if (status == STELE_OK)
        status = check_absent(store->companion, participant, error);
    if (status == STELE_OK)
        status = begin(store, &head, error);
    if (status == STELE_OK)
        status = catch_up_by(store, participant, head, batch, &position, error);
    if (status != STELE_OK || position < head)
        return status;
    participant->position = head;
    participant->next = NULL;
    for (last = &store->companion->first; *last;)
        last = &(*last)->next;
    *last = participant;
    store->backend->companion = &store->companion->base;
    *joined = true;
    return STELE_OK;
}

stele_status stele__participant_join(stele_store *store, struct stele__participant *participant, size_t batch,
                                     stele_error **error)
{
    bool joined = false;
    stele_status status = check_transactions(store, error);

    if (status == STELE_OK)
        status = stele__name_check(stele__slice(participant->name), "checkpoint", STELE_CHECKPOINT_MAX, error);
    while (status == STELE_OK && !joined) {
        stele__store_enter(store);
        status = come_nearer(store, participant, batch, &joined, error);
        stele__store_leave(store);
        /* Who waits in the gate was woken just now, and is let in first. */
        if (!joined)
            sched_yield();
    }
    return status;
}

void stele__participant_leave(stele_store *store, struct stele__participant *participant)
{
    struct stele__participant **place;

    if (store->generation != stele__fork_generation())
        return;
    stele__store_enter(store);
    if (store->companion) {
        for (place = &store->companion->first; *place && *place != participant;)
            place = &(*place)->next;
        if (*place)
            *place = participant->next;
        if (!store->companion->first)
            store->backend->companion = NULL;
    }
    stele__store_leave(store);
}

void stele__companion_free(stele_store *store)
{
    if (store->annex)
        store->annex->free(store->annex);
    if (!store->companion)
        return;
    stele__reading_fini(&store->companion->reading);
    stele__free(store->companion, sizeof(*store->companion));
}
