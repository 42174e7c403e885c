/*
 * The fraud watch (see watch.h).
 *
 *     bank.money.withdrawn, in cash ─► the last times of its account ─► three within a day: told
 *
 * What is told is an effect of its own, and not part of the model: it is not told
 * again when the model is folded from events that an earlier run has seen.
 */
#include "watch.h"

#include "account.h"
#include "post.h"

#include <stdlib.h>
#include <string.h>

#define DAY (INT64_C(86400) * 1000000000)

struct watched {
    char stream[STREAM_SIZE];
    int64_t times[WATCH_TIMES]; /* of the last ones, oldest first */
    size_t count;               /* of these */
};

void watch_clear(struct watch *watch)
{
    free(watch->accounts);
    watch->accounts = NULL;
    watch->count = watch->capacity = 0;
}

static void reset(void *model)
{
    struct watch *watch = model;

    watch_clear(watch);
}

/* The account of a stream, made if it is new; NULL when memory is out. */
static struct watched *find(struct watch *watch, struct stele_slice stream)
{
    for (size_t i = 0; i < watch->count; i++)
        if (strcmp(watch->accounts[i].stream, stream.data) == 0)
            return &watch->accounts[i];
    if (watch->count == watch->capacity) {
        const size_t capacity = watch->capacity ? 2 * watch->capacity : 64;
        struct watched *grown = realloc(watch->accounts, capacity * sizeof(*grown));

        if (!grown)
            return NULL;
        watch->accounts = grown;
        watch->capacity = capacity;
    }
    watch->accounts[watch->count] = (struct watched){0};
    snprintf(watch->accounts[watch->count].stream, STREAM_SIZE, "%s", stream.data);
    return &watch->accounts[watch->count++];
}

static void note(struct watched *account, int64_t time)
{
    if (account->count == WATCH_TIMES)
        memmove(account->times, account->times + 1, --account->count * sizeof(account->times[0]));
    account->times[account->count++] = time;
}

static stele_status see(struct watch *watch, const struct money_withdrawn *event, stele_projecting *at)
{
    const stele_message *message = stele_projecting_message(at);
    struct watched *account;
    char time[STELE_TIME_TEXT_SIZE];

    if (strcmp(event->method, METHOD_CASH) != 0)
        return STELE_OK;
    account = find(watch, stele_message_stream(message));
    if (!account)
        return STELE_NO_MEMORY;
    note(account, stele_message_time(message));
    if (account->count < WATCH_TIMES || account->times[WATCH_TIMES - 1] - account->times[0] > DAY)
        return STELE_OK;
    if (watch->out && stele_message_position(message) > watch->told) {
        stele_time_print(stele_message_time(message), time);
        fprintf(watch->out, "bank: watch: %s: cash %d times within a day, last at %s\n", account->stream, WATCH_TIMES,
                time);
    }
    return STELE_OK;
}
STELE_DEFINE_PROJECT_WITH(see, money_withdrawn, watch)

static const struct stele_projection_on on[] = {{&money_withdrawn_type, see_project}};
const struct stele_projection watch_projection = {
    .name = "watch",
    .version = 1,
    .kind = STELE_PROJECTION_IN_MEMORY,
    .on = on,
    .on_count = sizeof(on) / sizeof(on[0]),
    .reset = reset,
};
