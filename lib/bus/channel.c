/*
 * Channels: messages from any senders to any readers.
 *
 *   send ──► [ senders waiting ] ──► ring of `capacity` slots ──► [ readers waiting ] ──► next
 *
 * The ring's places are numbered from 0 and never again: `first` is the oldest
 * kept, `end` the next to be filled. A work channel has one place to read, `first`,
 * for all; on a broadcast channel each reader has its own, and a slot is let go
 * when as many readers as there were at its sending have taken it.
 *
 * Who has to wait, queues: what it waits for is brought to it by the one who
 * makes it possible, so that turns are kept and nobody is woken for nothing.
 *
 *   waiting ── brought (a message, room) ──► STELE_OK
 *      ├────── closed ────────────────────► STELE_END
 *      └────── its time is up ────────────► STELE_TIMEOUT, taken out of the queue
 *
 * A waiter lives on its caller's stack; it is in a queue exactly while nothing
 * was brought. Its signal is set under the mutex, and the mutex taken once more
 * before it goes, so that nobody touches it any more. Memory can be out; nothing
 * else fails.
 */
#include <stele/channel.h>

#include <pthread.h>

#include "base/error.h"
#include "base/memory.h"
#include "runtime/runtime.h"

enum { CAPACITY_DEFAULT = 1024 };

struct slot {
    stele_message *message;
    size_t readers; /* that have not taken it yet */
};

/* Somebody who waits: a reader for a message, or a sender for room. */
struct waiter {
    struct waiter *next, *previous;
    bool is_queued;
    stele_status status;
    stele_message *message;       /* of a sender: on its way in; of a reader: brought */
    stele_channel_reader *reader; /* NULL: a sender */
    struct stele__signal signal;
};

struct waiters {
    struct waiter *first, *last;
};

struct stele_channel {
    stele_runtime *runtime;
    enum stele_channel_kind kind;
    size_t capacity;
    struct slot *slots;

    pthread_mutex_t mutex; /* guards what follows, and the places of the readers */
    uint64_t first, end;
    size_t readers;
    bool closed;
    struct waiters receiving, sending;
};

struct stele_channel_reader {
    stele_channel *channel;
    uint64_t place; /* of a broadcast: the next it gets */
};

static void enqueue(struct waiters *queue, struct waiter *waiter)
{
    waiter->next = NULL;
    waiter->previous = queue->last;
    if (queue->last)
        queue->last->next = waiter;
    else
        queue->first = waiter;
    queue->last = waiter;
    waiter->is_queued = true;
}

static void dequeue(struct waiters *queue, struct waiter *waiter)
{
    if (waiter->previous)
        waiter->previous->next = waiter->next;
    else
        queue->first = waiter->next;
    if (waiter->next)
        waiter->next->previous = waiter->previous;
    else
        queue->last = waiter->previous;
    waiter->is_queued = false;
}

static void bring(struct waiters *queue, struct waiter *waiter, stele_status status)
{
    dequeue(queue, waiter);
    waiter->status = status;
    stele__signal_set(&waiter->signal);
}

/* --- The ring; under the mutex ---------------------------------------------------- */

static struct slot *slot_at(const stele_channel *channel, uint64_t place)
{
    return &channel->slots[place % channel->capacity];
}

static bool is_full(const stele_channel *channel)
{
    return channel->end - channel->first == channel->capacity;
}

/* Takes over the reference. */
static void push(stele_channel *channel, stele_message *message)
{
    struct slot *slot = slot_at(channel, channel->end);

    if (channel->kind == STELE_BROADCAST && channel->readers == 0) {
        stele_message_unref(message);
        return;
    }
    slot->message = message;
    slot->readers = channel->kind == STELE_BROADCAST ? channel->readers : 1;
    channel->end++;
}

static void let_go_of_what_is_taken(stele_channel *channel)
{
    while (channel->first < channel->end && !slot_at(channel, channel->first)->message)
        channel->first++;
}

/* One reader less for a slot: the last one gets the channel's own reference, others NULL. */
static stele_message *take_slot(struct slot *slot)
{
    stele_message *message = slot->message;

    slot->readers--;
    if (slot->readers > 0)
        return NULL;
    slot->message = NULL;
    return message;
}

static bool has_next(const stele_channel *channel, const stele_channel_reader *reader)
{
    return (channel->kind == STELE_BROADCAST ? reader->place : channel->first) < channel->end;
}

static stele_message *take_next(stele_channel *channel, stele_channel_reader *reader)
{
    struct slot *slot = slot_at(channel, channel->kind == STELE_BROADCAST ? reader->place : channel->first);
    stele_message *shared = slot->message;
    stele_message *own = take_slot(slot);

    reader->place++;
    let_go_of_what_is_taken(channel);
    return own ? own : stele_message_ref(shared);
}

/* Bring messages to readers and room to senders, as long as there is any. */
static void settle(stele_channel *channel)
{
    for (;;) {
        struct waiter *reader = channel->receiving.first;
        struct waiter *sender = channel->sending.first;

        if (reader && has_next(channel, reader->reader)) {
            reader->message = take_next(channel, reader->reader);
            bring(&channel->receiving, reader, STELE_OK);
        } else if (sender && !is_full(channel)) {
            push(channel, sender->message);
            bring(&channel->sending, sender, STELE_OK);
        } else {
            return;
        }
    }
}

/* --- Waiting ------------------------------------------------------------------------ */

static int64_t deadline_in(stele_runtime *runtime, uint32_t timeout_ms)
{
    return stele__runtime_monotonic(runtime) + (int64_t)timeout_ms * 1000000;
}

/* Wait in a queue, with the mutex held before and after; returns what came of it. */
static stele_status wait_in(stele_channel *channel, struct waiters *queue, struct waiter *waiter, uint32_t timeout_ms)
{
    if (!stele__signal_init(&waiter->signal))
        return STELE_NO_MEMORY;
    waiter->status = STELE_TIMEOUT;
    enqueue(queue, waiter);
    pthread_mutex_unlock(&channel->mutex);
    stele__runtime_wait(channel->runtime, &waiter->signal, deadline_in(channel->runtime, timeout_ms));
    pthread_mutex_lock(&channel->mutex);
    if (waiter->is_queued)
        dequeue(queue, waiter);
    stele__signal_fini(&waiter->signal);
    return waiter->status;
}

/* --- A channel ---------------------------------------------------------------------- */

static stele_status check_new(stele_runtime *runtime, enum stele_channel_kind kind, stele_channel **out,
                              stele_error **error)
{
    if (!runtime)
        return stele__fail_argument(error, "runtime", "it is NULL");
    if (kind != STELE_BROADCAST && kind != STELE_WORK)
        return stele__fail_argument(error, "kind", "there is no such kind of channel");
    if (!out)
        return stele__fail_argument(error, "out", "it is NULL");
    return STELE_OK;
}

static size_t slots_size(size_t capacity)
{
    size_t bytes = 0;

    return stele__size_multiply(capacity, sizeof(struct slot), &bytes) ? bytes : SIZE_MAX;
}

stele_status stele_channel_new(stele_runtime *runtime, enum stele_channel_kind kind, size_t capacity,
                               stele_channel **out, stele_error **error)
{
    stele_status status = check_new(runtime, kind, out, error);
    const size_t size = slots_size(capacity ? capacity : CAPACITY_DEFAULT);
    stele_channel *channel = NULL;

    if (status != STELE_OK)
        return status;
    channel = stele__alloc(sizeof(*channel));
    if (!channel)
        return stele__fail_memory(error);
    channel->slots = size < SIZE_MAX ? stele__alloc(size) : NULL;
    if (!channel->slots || pthread_mutex_init(&channel->mutex, NULL) != 0) {
        stele__free(channel->slots, size);
        stele__free(channel, sizeof(*channel));
        return stele__fail_memory(error);
    }
    channel->runtime = runtime;
    channel->kind = kind;
    channel->capacity = capacity ? capacity : CAPACITY_DEFAULT;
    *out = channel;
    return STELE_OK;
}

/* Under the mutex. On STELE_OK the reference has gone into the channel. */
static stele_status send_or_wait(stele_channel *channel, stele_message *message, uint32_t timeout_ms)
{
    struct waiter waiter = {.message = message};

    if (channel->closed)
        return STELE_END;
    if (!is_full(channel)) {
        push(channel, message);
        settle(channel);
        return STELE_OK;
    }
    return timeout_ms ? wait_in(channel, &channel->sending, &waiter, timeout_ms) : STELE_OVERLOAD;
}

static stele_status fail_send(const stele_channel *channel, stele_status status, stele_error **error)
{
    if (status == STELE_NO_MEMORY)
        return stele__fail_memory(error);
    if (status == STELE_END)
        return stele__fail(error, status, "the channel is closed");
    return stele__fail(error, status, "the channel is full: %zu messages wait", channel->capacity);
}

stele_status stele_channel_send(stele_channel *channel, const stele_message *message, uint32_t timeout_ms,
                                stele_error **error)
{
    stele_status status;
    stele_message *own = NULL;

    if (!channel)
        return stele__fail_argument(error, "channel", "it is NULL");
    if (!message)
        return stele__fail_argument(error, "message", "it is NULL");
    own = stele_message_ref(message);
    if (!own)
        return stele__fail_memory(error);
    pthread_mutex_lock(&channel->mutex);
    status = send_or_wait(channel, own, timeout_ms);
    pthread_mutex_unlock(&channel->mutex);
    if (status == STELE_OK)
        return STELE_OK;
    stele_message_unref(own);
    return fail_send(channel, status, error);
}

static void end_waiters(struct waiters *queue)
{
    while (queue->first)
        bring(queue, queue->first, STELE_END);
}

void stele_channel_close(stele_channel *channel)
{
    if (!channel)
        return;
    pthread_mutex_lock(&channel->mutex);
    channel->closed = true;
    end_waiters(&channel->sending);
    end_waiters(&channel->receiving);
    pthread_mutex_unlock(&channel->mutex);
}

void stele_channel_free(stele_channel *channel)
{
    if (!channel)
        return;
    stele_channel_close(channel);
    for (uint64_t place = channel->first; place < channel->end; place++)
        stele_message_unref(slot_at(channel, place)->message);
    pthread_mutex_destroy(&channel->mutex);
    stele__free(channel->slots, slots_size(channel->capacity));
    stele__free(channel, sizeof(*channel));
}

/* --- Readers ------------------------------------------------------------------------- */

stele_status stele_channel_join(stele_channel *channel, stele_channel_reader **out, stele_error **error)
{
    stele_channel_reader *reader = NULL;

    if (!channel)
        return stele__fail_argument(error, "channel", "it is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "it is NULL");
    reader = stele__alloc(sizeof(*reader));
    if (!reader)
        return stele__fail_memory(error);
    reader->channel = channel;
    pthread_mutex_lock(&channel->mutex);
    reader->place = channel->end;
    channel->readers++;
    pthread_mutex_unlock(&channel->mutex);
    *out = reader;
    return STELE_OK;
}

/* Under the mutex. */
static stele_status take_or_wait(stele_channel_reader *reader, uint32_t timeout_ms, stele_message **out)
{
    stele_channel *channel = reader->channel;
    struct waiter waiter = {.reader = reader};
    stele_status status;

    if (has_next(channel, reader)) {
        *out = take_next(channel, reader);
        settle(channel);
        return STELE_OK;
    }
    if (channel->closed)
        return STELE_END;
    if (timeout_ms == 0)
        return STELE_TIMEOUT;
    status = wait_in(channel, &channel->receiving, &waiter, timeout_ms);
    if (status == STELE_OK)
        *out = waiter.message;
    return status;
}

stele_status stele_channel_next(stele_channel_reader *reader, uint32_t timeout_ms, stele_message **out,
                                stele_error **error)
{
    stele_status status;

    if (!reader)
        return stele__fail_argument(error, "reader", "it is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "it is NULL");
    pthread_mutex_lock(&reader->channel->mutex);
    status = take_or_wait(reader, timeout_ms, out);
    pthread_mutex_unlock(&reader->channel->mutex);
    if (status == STELE_TIMEOUT)
        return stele__fail(error, status, "no message came in %u ms", (unsigned)timeout_ms);
    if (status == STELE_NO_MEMORY)
        return stele__fail_memory(error);
    return status;
}

/* Under the mutex: as if the reader had taken all that is there for it. */
static void pass_by(stele_channel *channel, const stele_channel_reader *reader)
{
    for (uint64_t place = reader->place; place < channel->end; place++)
        stele_message_unref(take_slot(slot_at(channel, place)));
    let_go_of_what_is_taken(channel);
}

void stele_channel_leave(stele_channel_reader *reader)
{
    stele_channel *channel = reader ? reader->channel : NULL;

    if (!reader)
        return;
    pthread_mutex_lock(&channel->mutex);
    if (channel->kind == STELE_BROADCAST)
        pass_by(channel, reader);
    channel->readers--;
    settle(channel);
    pthread_mutex_unlock(&channel->mutex);
    stele__free(reader, sizeof(*reader));
}
