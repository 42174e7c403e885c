/*
 * The control of failing stores: which call is to fail, and how many there were.
 *
 *     armed: waits for `before` more calls -> fails `left` calls -> spent, its place is free
 *
 * What can fail: memory, and arming what makes no sense.
 */
#include "testkit/faults.h"

#include <stele/memory.h>

#include <pthread.h>
#include <stdio.h>

enum { CALLS = STELE_CALL_DELETE_CHECKPOINT + 1 };

struct armed {
    enum stele_store_call call;
    uint64_t before; /* calls that go well before */
    uint64_t left;   /* calls to fail then; 0: the place is free */
    struct verdict verdict;
};

struct stele_faults {
    stele_arena *arena; /* holds the control itself */
    pthread_mutex_t mutex;
    /* Guarded by the mutex. */
    struct armed armed[STELE_FAULTS_MAX]; /* that armed first comes first */
    size_t count;
    uint64_t calls[CALLS];
    uint64_t failed[CALLS];
};

stele_status stele_faults_new(stele_faults **out, stele_error **error)
{
    stele_arena *arena = NULL;
    stele_faults *faults;
    const stele_status status = stele_arena_new(&arena, error);

    if (status != STELE_OK)
        return status;
    faults = stele_arena_alloc(arena, sizeof(*faults));
    if (!faults) {
        stele_arena_free(arena);
        return stele_backend_fail(error, STELE_NO_MEMORY, "out of memory");
    }
    *faults = (stele_faults){.arena = arena};
    pthread_mutex_init(&faults->mutex, NULL);
    *out = faults;
    return STELE_OK;
}

void stele_faults_free(stele_faults *faults)
{
    if (!faults)
        return;
    pthread_mutex_destroy(&faults->mutex);
    stele_arena_free(faults->arena);
}

/* --- Arming -------------------------------------------------------------------------------- */

static stele_status check_fault(const struct stele_fault *fault, stele_error **error)
{
    if (fault->size != sizeof(*fault))
        return stele_backend_fail(error, STELE_INVALID, "fault: begin it with its size");
    if ((int)fault->call < 0 || (int)fault->call >= CALLS)
        return stele_backend_fail(error, STELE_INVALID, "fault.call: is none of enum stele_store_call");
    if (stele_status_name(fault->status)[0] == '?')
        return stele_backend_fail(error, STELE_INVALID, "fault.status: is no status");
    return STELE_OK;
}

stele_status stele_faults_arm(stele_faults *faults, const struct stele_fault *fault, stele_error **error)
{
    stele_status status = check_fault(fault, error);

    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&faults->mutex);
    if (faults->count < STELE_FAULTS_MAX)
        faults->armed[faults->count++] = (struct armed){
            .call = fault->call,
            .before = fault->nth ? fault->nth - 1 : 0,
            .left = fault->times ? fault->times : 1,
            .verdict = {true, fault->after, fault->status == STELE_OK ? STELE_IO : fault->status},
        };
    else
        status = STELE_LIMIT;
    pthread_mutex_unlock(&faults->mutex);
    return status == STELE_OK ? STELE_OK : stele_backend_fail(error, status, "too many faults are armed");
}

void stele_faults_clear(stele_faults *faults)
{
    pthread_mutex_lock(&faults->mutex);
    faults->count = 0;
    pthread_mutex_unlock(&faults->mutex);
}

/* --- Asking -------------------------------------------------------------------------------- */

static bool writes(enum stele_store_call call)
{
    switch (call) {
    case STELE_CALL_WRITE:
    case STELE_CALL_APPEND:
    case STELE_CALL_FORGET_COMMANDS:
    case STELE_CALL_SAVE_SNAPSHOT:
    case STELE_CALL_DROP_SNAPSHOT:
    case STELE_CALL_WRITE_CHECKPOINT:
    case STELE_CALL_DELETE_CHECKPOINT: return true;
    default: return false;
    }
}

static bool is_one_of(enum stele_store_call call, enum stele_store_call wanted)
{
    if (wanted == STELE_CALL_ANY)
        return call != STELE_CALL_WAIT;
    return wanted == call || (wanted == STELE_CALL_WRITE && writes(call));
}

static void count(uint64_t counts[CALLS], enum stele_store_call call)
{
    for (int i = 0; i < CALLS; i++)
        if (is_one_of(call, (enum stele_store_call)i))
            counts[i]++;
}

/* Under the mutex: one call passes a fault. */
static void pass(struct armed *armed, struct verdict *verdict)
{
    if (armed->before > 0) {
        armed->before--;
        return;
    }
    if (armed->left != UINT64_MAX)
        armed->left--;
    if (!verdict->fails)
        *verdict = armed->verdict;
}

/* Under the mutex: close the gaps that spent faults leave. */
static void drop_spent(stele_faults *faults)
{
    size_t kept = 0;

    for (size_t i = 0; i < faults->count; i++)
        if (faults->armed[i].left > 0)
            faults->armed[kept++] = faults->armed[i];
    faults->count = kept;
}

struct verdict stele__kit_ask(stele_faults *faults, enum stele_store_call call)
{
    struct verdict verdict = {.fails = false};

    pthread_mutex_lock(&faults->mutex);
    count(faults->calls, call);
    for (size_t i = 0; i < faults->count; i++)
        if (is_one_of(call, faults->armed[i].call))
            pass(&faults->armed[i], &verdict);
    drop_spent(faults);
    if (verdict.fails)
        count(faults->failed, call);
    pthread_mutex_unlock(&faults->mutex);
    return verdict;
}

stele_status stele__kit_fail_call(const struct verdict *verdict, stele_error **error)
{
    char text[128];

    snprintf(text, sizeof(text), "%s (the test made this call fail, %s it was carried out)",
             stele_status_text(verdict->status), verdict->after ? "after" : "before");
    return stele_backend_fail(error, verdict->status, text);
}

static uint64_t read_count(stele_faults *faults, const uint64_t counts[CALLS], enum stele_store_call call)
{
    uint64_t found = 0;

    if ((int)call < 0 || (int)call >= CALLS)
        return 0;
    pthread_mutex_lock(&faults->mutex);
    found = counts[call];
    pthread_mutex_unlock(&faults->mutex);
    return found;
}

uint64_t stele_faults_calls(stele_faults *faults, enum stele_store_call call)
{
    return read_count(faults, faults->calls, call);
}

uint64_t stele_faults_failed(stele_faults *faults, enum stele_store_call call)
{
    return read_count(faults, faults->failed, call);
}

/* --- Opening -------------------------------------------------------------------------------- */

stele_status stele_faults_open(stele_faults *faults, const char *url, const struct stele_store_options *options,
                               stele_store **out, stele_error **error)
{
    const struct verdict verdict = stele__kit_ask(faults, STELE_CALL_OPEN);
    stele_store *store = NULL;
    stele_status status;

    if (verdict.fails && !verdict.after)
        return stele__kit_fail_call(&verdict, error);
    status = stele_store_open_wrapped(url, options, stele__kit_wrap, faults, &store, error);
    if (status == STELE_OK && verdict.fails) {
        stele_store_close(store);
        return stele__kit_fail_call(&verdict, error);
    }
    if (status == STELE_OK)
        *out = store;
    return status;
}
