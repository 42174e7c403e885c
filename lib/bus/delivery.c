/*
 * Deliveries: one message on its way to one route, from its mailbox through the
 * handler to its end.
 *
 *     mailbox ─► a worker: call.c ─┬─ settled ─► released
 *                                  └─ to be called again: held
 *
 *     hold:   waiting for its timer ──fires──► called again ──► the mailbox goes on
 *             suspended ──resume──────────────►     │
 *                 ▲ paused meanwhile: due           └─ held again
 *
 * While a delivery is held, its mailbox is paused, so that order is kept. What can
 * fail: memory; a delivery that cannot be held then has failed.
 */
#include "bus/box.h"

#include "base/memory.h"

#include <string.h>

/* --- Deliveries -------------------------------------------------------------------------------------- */

void stele__delivery_free_spare(stele_bus *bus)
{
    stele__free(atomic_exchange(&bus->spare_delivery, NULL), sizeof(struct stele__delivery));
}

/* To be used again: what one thread allocates and another one frees goes from processor to processor. */
static void retire(stele_bus *bus, struct stele__delivery *delivery)
{
    stele__free(atomic_exchange_explicit(&bus->spare_delivery, delivery, memory_order_acq_rel), sizeof(*delivery));
}

struct stele__delivery *stele__delivery_new(const struct stele__sending *sending)
{
    stele_bus *bus = sending->route->bus;
    struct stele__delivery *delivery = atomic_exchange_explicit(&bus->spare_delivery, NULL, memory_order_acquire);

    if (!delivery)
        delivery = stele__resize(NULL, 0, sizeof(*delivery));
    if (!delivery)
        return NULL;
    delivery->message = stele_message_ref(sending->message);
    if (!delivery->message) {
        stele__free(delivery, sizeof(*delivery));
        return NULL;
    }
    delivery->route = sending->route;
    delivery->partition = NULL;
    delivery->unit = sending->origin.unit;
    delivery->parent_call = sending->origin.parent_call;
    delivery->hop = sending->origin.hop;
    delivery->attempt = 1;
    delivery->settled = sending->settled;
    delivery->context = sending->context;
    atomic_fetch_add_explicit(&sending->route->references, 1, memory_order_relaxed);
    if (delivery->unit)
        stele__unit_join(delivery->unit);
    return delivery;
}

/* Nothing more becomes of it. */
static void settle(struct stele__delivery *delivery, stele_status status)
{
    if (delivery->settled)
        delivery->settled(delivery->context, status);
    delivery->settled = NULL;
    stele__unit_leave(delivery->unit);
    delivery->unit = NULL;
}

/* The bus may be gone after. */
static void release(struct stele__delivery *delivery)
{
    struct stele__route *route = delivery->route;

    stele_message_unref(delivery->message);
    if (delivery->partition && delivery->partition->box->keys)
        stele__partition_leave(delivery->partition);
    retire(route->bus, delivery);
    stele__route_release(route, 1);
}

void stele__delivery_withdraw(struct stele__delivery *delivery)
{
    delivery->settled = NULL;
    settle(delivery, STELE_CANCELLED);
    release(delivery);
}

void stele__see_dropped(struct stele__route *route, const stele_message *message, unsigned hop, uint64_t parent_call,
                        stele_status status)
{
    const struct stele__item item = {.route = route};
    struct stele__context context;

    if (!stele__is_seen(route->bus, STELE_SEEN_DROPPED))
        return;
    stele__context_init(&context, route->bus, message, NULL, hop, parent_call);
    context.item = &item;
    stele__see(&context, STELE_SEEN_DROPPED, status, stele_status_text(status), 0, 0);
}

/* It was in a mailbox, and will not be handled: say so. */
static void tell_discarded(const struct stele__delivery *delivery, stele_status status)
{
    struct stele__route *route = delivery->route;

    stele__tally(&route->counts.dropped);
    stele__unit_fail(delivery->unit, status, route->table->name, delivery->message, NULL, delivery->attempt - 1);
    stele__see_dropped(route, delivery->message, delivery->hop, delivery->parent_call, status);
}

void stele__delivery_discard(struct stele__delivery *delivery, stele_status status)
{
    tell_discarded(delivery, status);
    /* Whoever waits for its end must not take it for handled, as what a handler returned. */
    settle(delivery, status == STELE_SHUTDOWN ? status : STELE_CANCELLED);
    release(delivery);
}

/* --- Holding ------------------------------------------------------------------------------------------------------ */

static void run_delivery(struct stele__delivery *delivery, bool was_held);

/* Let the mailbox go on, unless it is paused or something is held. Under the bus's mutex. */
static void go_on(struct stele__partition *partition)
{
    if (!partition->hold && !partition->is_recalled && !atomic_load(&partition->box->is_paused))
        stele__mailbox_resume(&partition->mailbox);
}

/* Its time has come: in a task, for it calls a handler. */
static void run_held(struct stele__task *task)
{
    struct stele__hold *hold = (struct stele__hold *)((char *)task - offsetof(struct stele__hold, task));
    struct stele__delivery *delivery = hold->delivery;
    struct stele__partition *partition = delivery->partition;
    stele_bus *bus = partition->box->bus;
    bool is_paused;

    pthread_mutex_lock(&bus->mutex);
    is_paused = atomic_load(&partition->box->is_paused) && !atomic_load(&partition->box->is_closed);
    if (is_paused)
        hold->is_due = true;
    else
        partition->hold = NULL;
    partition->is_recalled = !is_paused;
    pthread_mutex_unlock(&bus->mutex);
    if (is_paused)
        return;
    stele__free(hold, sizeof(*hold));
    run_delivery(delivery, true);
}

static void hold_fired(struct stele__timer *timer)
{
    struct stele__hold *hold = (struct stele__hold *)timer;

    stele__runtime_post(hold->delivery->route->bus->runtime, &hold->task);
}

/* False when memory is out, or the bus is stopping for good. */
static bool hold_delivery(struct stele__delivery *delivery, const struct stele__result *result)
{
    struct stele__partition *partition = delivery->partition;
    stele_bus *bus = partition->box->bus;
    struct stele__hold *hold = stele__alloc(sizeof(*hold));
    bool is_held;

    if (!hold)
        return false;
    hold->delivery = delivery;
    hold->is_suspended = result->verdict == STELE__SUSPENDED;
    hold->timer.name = hold->task.name = partition->box->table->name;
    hold->timer.fire = hold_fired;
    hold->task.priority = stele__box_priority(partition->box->table);
    hold->task.run = run_held;
    pthread_mutex_lock(&bus->mutex);
    is_held = !atomic_load(&partition->box->is_closed);
    if (is_held) {
        partition->hold = hold;
        partition->is_recalled = false;
        stele__mailbox_pause(&partition->mailbox);
        if (!hold->is_suspended && !stele__timer_start(bus->runtime, &hold->timer, result->delay)) {
            partition->hold = NULL;
            is_held = false;
        }
    }
    if (!is_held)
        go_on(partition);
    pthread_mutex_unlock(&bus->mutex);
    if (!is_held)
        stele__free(hold, sizeof(*hold));
    return is_held;
}

/* --- A call -------------------------------------------------------------------------------------------------------- */

/* Why a delivery is not to be handled any more; STELE_OK: it is. */
static stele_status reason_to_discard(const struct stele__delivery *delivery)
{
    const struct stele__box *box = delivery->partition->box;

    if (stele__unit_is_cancelled(delivery->unit) ||
        atomic_load_explicit(&delivery->route->is_removed, memory_order_relaxed))
        return STELE_CANCELLED;
    return atomic_load_explicit(&box->is_closed, memory_order_relaxed) ? (stele_status)atomic_load(&box->closing)
                                                                       : STELE_OK;
}

static void find_item(stele_bus *bus, const struct stele__delivery *delivery, struct stele__item *out)
{
    const struct stele__entry *entry;
    const struct stele__item *item;

    entry = stele__table_find(bus, stele_message_type(delivery->message));
    item = entry ? stele__entry_item(entry, delivery->route) : NULL;
    if (item) {
        *out = *item;
        return;
    }
    memset(out, 0, sizeof(*out));
    out->handle = delivery->route->table->handle;
    out->resource = delivery->route->resource;
    out->route = delivery->route;
}

/* Be in the context of a delivery, on the caller's stack, until left. */
static void enter_context(const struct stele__delivery *delivery, struct stele__item *item,
                          struct stele__context *context)
{
    stele_bus *bus = delivery->route->bus;

    find_item(bus, delivery, item);
    stele__context_init(context, bus, delivery->message, delivery->unit, delivery->hop, delivery->parent_call);
    context->item = item;
    context->attempt = delivery->attempt;
    stele__current = context;
}

static void leave_context(struct stele__context *context)
{
    stele__current = context->outer;
    stele__context_fini(context);
}

static struct stele__result call(struct stele__delivery *delivery)
{
    struct stele__result result;
    struct stele__context context;
    struct stele__item item;

    enter_context(delivery, &item, &context);
    result = stele__call_once(&context);
    leave_context(&context);
    delivery->attempt += result.verdict != STELE__BACK_OFF;
    return result;
}

/* It was to be called again, and cannot be. */
static void give_up(const struct stele__delivery *delivery, const struct stele__result *result)
{
    struct stele__context context;
    struct stele__item item;

    enter_context(delivery, &item, &context);
    context.attempt -= result->verdict == STELE__LATER; /* it is counted for the call that does not come */
    stele__call_give_up(&context, result->status == STELE_OK ? STELE_CANCELLED : result->status);
    leave_context(&context);
}

static bool is_to_be_held(const struct stele__delivery *delivery, const struct stele__result *result)
{
    return result->verdict != STELE__HANDLED && reason_to_discard(delivery) == STELE_OK;
}

/* The unit of work does not wait for what is suspended. */
static void detach(struct stele__delivery *delivery)
{
    stele__unit_leave(delivery->unit);
    delivery->unit = NULL;
}

/* One attempt; true if the delivery is held. */
static bool attempt(struct stele__delivery *delivery, stele_status *status)
{
    stele_bus *bus = delivery->route->bus;
    const struct stele__reading reading = stele__read_begin(bus);
    struct stele__result result = call(delivery);
    bool is_held = false;

    if (is_to_be_held(delivery, &result)) {
        if (result.verdict == STELE__SUSPENDED)
            detach(delivery);
        is_held = hold_delivery(delivery, &result);
    }
    if (!is_held && (result.verdict == STELE__LATER || result.verdict == STELE__BACK_OFF))
        give_up(delivery, &result);
    *status = result.status;
    /* Its route ends, and nobody has decided what becomes of it. */
    if (!is_held && result.verdict == STELE__SUSPENDED && reason_to_discard(delivery) != STELE_OK)
        *status = reason_to_discard(delivery);
    stele__read_end(bus, reading);
    return is_held;
}

static void run_delivery(struct stele__delivery *delivery, bool was_held)
{
    struct stele__partition *partition = delivery->partition;
    stele_bus *bus = delivery->route->bus;
    stele_status status = reason_to_discard(delivery);

    if (status != STELE_OK)
        tell_discarded(delivery, status);
    else if (attempt(delivery, &status))
        return;
    settle(delivery, status);
    if (was_held) {
        pthread_mutex_lock(&bus->mutex);
        partition->is_recalled = false;
        go_on(partition);
        pthread_mutex_unlock(&bus->mutex);
    }
    release(delivery);
}

void stele__delivery_receive(struct stele__mailbox *mailbox, struct stele__letter *letter)
{
    struct stele__box *box = ((struct stele__partition *)mailbox)->box;

    stele__box_count_out(box);
    stele__box_call_senders(box, false);
    run_delivery((struct stele__delivery *)letter, false);
}

/* --- To one route ------------------------------------------------------------------------------------------------------ */

/* Inline: handled when this returns. */
static void deliver_inline(struct stele__route *route, const stele_message *message)
{
    const struct stele__delivery delivery = {
        .route = route, .message = stele_message_ref(message), .hop = 1, .attempt = 1};
    const struct stele__reading reading = stele__read_begin(route->bus);
    struct stele__context context;
    struct stele__item item;

    if (delivery.message) {
        enter_context(&delivery, &item, &context);
        stele__call_inline(&context);
        leave_context(&context);
        stele_message_unref(delivery.message);
    }
    stele__read_end(route->bus, reading);
}

stele_status stele__route_deliver(struct stele__route *route, const stele_message *message, stele__settled *settled,
                                  void *context, stele_error **error)
{
    const struct stele__sending sending = {.route = route,
                                           .message = message,
                                           .origin = {.hop = 1},
                                           .beyond = true,
                                           .settled = settled,
                                           .context = context};

    if (stele__bus_state(route->bus) == STELE__BUS_STOPPED)
        return stele__bus_refuse(route->bus, error);
    if (route->box)
        return stele__queue(&sending, error);
    deliver_inline(route, message);
    if (settled)
        settled(context, STELE_OK);
    return STELE_OK;
}
