/*
 * Sending to mailboxes, and waiting for room in them.
 *
 *     queue ─► delivery ─► mailbox ─┬─ taken
 *                                   └─ full: rejected, or the oldest dropped, or the sender waits its turn
 *
 * What can fail: memory, a full mailbox (STELE_OVERLOAD), a closed one.
 */
#include "bus/box.h"

#include "base/error.h"
#include "base/text.h"

#include <string.h>

/* A sender that waits for room. */
struct stele__sender {
    struct stele__sender *next;
    struct stele__signal signal;
};

/* --- Room ---------------------------------------------------------------------------------------------- */

void stele__box_call_senders(struct stele__box *box, bool all)
{
    if (atomic_load(&box->senders_waiting) == 0)
        return;
    pthread_mutex_lock(&box->bus->mutex);
    while (box->senders) {
        struct stele__sender *sender = box->senders;

        box->senders = sender->next;
        atomic_fetch_sub(&box->senders_waiting, 1);
        stele__signal_set(&sender->signal);
        if (!all)
            break;
    }
    pthread_mutex_unlock(&box->bus->mutex);
}

static void enlist(struct stele__box *box, struct stele__sender *sender)
{
    struct stele__sender **place = &box->senders;

    pthread_mutex_lock(&box->bus->mutex);
    while (*place)
        place = &(*place)->next;
    sender->next = NULL;
    *place = sender;
    atomic_fetch_add(&box->senders_waiting, 1);
    pthread_mutex_unlock(&box->bus->mutex);
}

/* False if it was called. */
static bool delist(struct stele__box *box, struct stele__sender *sender)
{
    struct stele__sender **place = &box->senders;
    bool is_listed;

    pthread_mutex_lock(&box->bus->mutex);
    while (*place && *place != sender)
        place = &(*place)->next;
    is_listed = *place != NULL;
    if (is_listed) {
        *place = sender->next;
        atomic_fetch_sub(&box->senders_waiting, 1);
    }
    pthread_mutex_unlock(&box->bus->mutex);
    return is_listed;
}

/* --- Sending ------------------------------------------------------------------------------------------------ */

static struct stele_slice key_of(const struct stele__box *box, const stele_message *message,
                                 char scratch[STELE__FIELD_TEXT_SIZE], stele_arena *arena)
{
    const char *partition = box->table->partition;
    struct stele_slice key;

    if (box->aggregate)
        key = stele__slice(stele__aggregate_stream(box->aggregate, message, arena, NULL));
    else if (strcmp(partition, "@subject") == 0)
        key = stele_message_subject(message);
    else if (strcmp(partition, "@stream") == 0)
        key = stele_message_stream(message);
    else
        key = stele__payload_field(message, partition, scratch);
    return key.data ? key : stele__slice("");
}

/* Put it into its mailbox, once. */
static enum stele__mail put_keyed(struct stele__box *box, struct stele__delivery *delivery, bool beyond)
{
    char scratch[STELE__FIELD_TEXT_SIZE];
    struct stele_arena arena;
    bool is_full = false;
    enum stele__mail mail;

    stele__arena_init(&arena);
    delivery->partition =
        stele__partition_enter(box, key_of(box, delivery->message, scratch, &arena), beyond, &is_full);
    stele__arena_fini(&arena);
    if (!delivery->partition)
        return is_full ? STELE__MAIL_FULL : STELE__MAIL_CLOSED;
    mail = stele__mailbox_force(&delivery->partition->mailbox, &delivery->letter);
    if (mail == STELE__MAIL_CLOSED)
        stele__box_count_out(box);
    return mail;
}

static enum stele__mail put(struct stele__box *box, struct stele__delivery *delivery, bool beyond)
{
    struct stele__letter *dropped = NULL;
    enum stele__mail mail;

    if (atomic_load_explicit(&box->is_closed, memory_order_relaxed))
        return STELE__MAIL_CLOSED;
    if (box->keys)
        return put_keyed(box, delivery, beyond);
    delivery->partition = &box->main;
    if (beyond)
        return stele__mailbox_force(&box->main.mailbox, &delivery->letter);
    if (box->table->overflow != STELE_DROP_OLDEST)
        return stele__mailbox_send(&box->main.mailbox, &delivery->letter);
    mail = stele__mailbox_send_dropping(&box->main.mailbox, &delivery->letter, &dropped);
    if (dropped)
        stele__delivery_discard((struct stele__delivery *)dropped, STELE_OVERLOAD);
    return mail;
}

/* Put it into its mailbox when there is room, until the deadline. */
static enum stele__mail put_waiting(struct stele__box *box, struct stele__delivery *delivery, int64_t deadline)
{
    stele_runtime *runtime = box->bus->runtime;
    struct stele__sender sender = {NULL};
    enum stele__mail mail = STELE__MAIL_FULL;
    bool is_in_time = true;
    bool was_called = false;

    if (!stele__signal_init(&sender.signal))
        return STELE__MAIL_FULL;
    while (mail == STELE__MAIL_FULL && is_in_time) {
        if (stele__signal_is_set(&sender.signal))
            stele__signal_reset(&sender.signal);
        enlist(box, &sender);
        mail = put(box, delivery, false);
        if (mail == STELE__MAIL_FULL)
            is_in_time = stele__runtime_wait(runtime, &sender.signal, deadline);
        was_called = !delist(box, &sender);
    }
    /* It goes, with or without a place, and the call was for one that is free: the next one's. */
    if (was_called)
        stele__box_call_senders(box, false);
    stele__signal_fini(&sender.signal);
    return mail;
}

static int64_t wait_deadline(const struct stele__sending *sending)
{
    stele_bus *bus = sending->route->bus;

    if (sending->origin.unit)
        return sending->origin.unit->deadline;
    return stele__runtime_monotonic(bus->runtime) + bus->timeout_ms * STELE__NANOS_PER_MILLISECOND;
}

static stele_status refuse_full(const struct stele__sending *sending, stele_error **error)
{
    struct stele__route *route = sending->route;
    static const char text[] = "its mailbox is full";

    stele__tally(&route->counts.rejected);
    stele__see_dropped(route, sending->message, sending->origin.hop, sending->origin.parent_call, STELE_OVERLOAD);
    stele__unit_fail(sending->origin.unit, STELE_OVERLOAD, route->table->name, sending->message, text, 0);
    stele__fail(error, STELE_OVERLOAD, "route %s: %s", route->table->name, text);
    stele__error_add(error, "route", "%s", route->table->name);
    return STELE_OVERLOAD;
}

static stele_status refuse_closed(const struct stele__sending *sending, stele_error **error)
{
    struct stele__route *route = sending->route;

    if (stele__bus_state(route->bus) == STELE__BUS_STOPPED)
        return stele__bus_refuse(route->bus, error);
    if (!atomic_load(&route->is_removed))
        return stele__fail_memory(error);
    stele__unit_fail(sending->origin.unit, STELE_CANCELLED, route->table->name, sending->message, NULL, 0);
    stele__fail(error, STELE_CANCELLED, "route %s: was removed", route->table->name);
    return STELE_CANCELLED;
}

stele_status stele__queue(const struct stele__sending *sending, stele_error **error)
{
    struct stele__box *box = sending->route->box;
    struct stele__delivery *delivery = stele__delivery_new(sending);
    enum stele__mail mail;

    if (!delivery)
        return stele__fail_memory(error);
    if (sending->origin.unit)
        atomic_fetch_add_explicit(&sending->origin.unit->deliveries, 1, memory_order_relaxed);
    mail = put(box, delivery, sending->beyond);
    if (mail == STELE__MAIL_FULL && box->table->overflow == STELE_BLOCK && !stele__runtime_is_inside(box->bus->runtime))
        mail = put_waiting(box, delivery, wait_deadline(sending));
    if (mail == STELE__MAIL_TAKEN)
        return STELE_OK;
    stele__delivery_withdraw(delivery);
    if (sending->origin.unit)
        atomic_fetch_sub_explicit(&sending->origin.unit->deliveries, 1, memory_order_relaxed);
    return mail == STELE__MAIL_FULL ? refuse_full(sending, error) : refuse_closed(sending, error);
}
