/*
 * Mailboxes of routes: one, or one for each value of the partition key.
 *
 *     queue ─► delivery ─► mailbox ─► a worker: call.c ─┬─ settled ─► released
 *                                                        └─ to be called again: held
 *
 *     hold:   waiting for its timer ──fires──► called again ──► the mailbox goes on
 *             suspended ──resume──────────────►     │
 *                 ▲ paused meanwhile: due           └─ held again
 *
 * While a delivery is held, its mailbox is paused, so that order is kept. A
 * partition is made by the first message of its key and freed behind the last.
 * A box outlives its routes as long as a worker may look into its mailboxes.
 *
 * What can fail: memory, a full mailbox (STELE_OVERLOAD), a closed one.
 */
#include "bus/core.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#include <string.h>

enum { CAPACITY = 1024, PRIORITY = 100 };

/* One message on its way to one route. */
struct delivery {
    struct stele__letter letter;
    struct stele__route *route;
    struct partition *partition;
    stele_message *message;
    struct stele_unit *unit;
    uint64_t parent_call;
    stele__settled *settled;
    void *context;
    unsigned hop;
    unsigned attempt;
};

struct hold {
    struct stele__timer timer;
    struct stele__task task;
    struct delivery *delivery;
    bool is_suspended; /* until resumed */
    bool is_due;       /* its time came while the box was paused */
};

struct partition {
    struct stele__mailbox mailbox;
    struct stele__box *box;
    struct hold *hold; /* guarded by the bus */
};

/* A partition of a key. */
struct keyed {
    struct partition partition;
    size_t used; /* deliveries it has; guarded by `keys` */
    size_t size; /* of the key */
    char key[];
};

/* The partitions by key. */
struct keys {
    pthread_mutex_t mutex;        /* guards what follows */
    struct stele__map partitions; /* struct keyed * */
    size_t waiting;
    size_t capacity;
};

/* A sender that waits for room. */
struct sender {
    struct sender *next;
    struct stele__signal signal;
};

struct stele__box {
    atomic_uint references;
    atomic_bool is_paused;
    atomic_bool is_closed;
    _Atomic unsigned char closing; /* the status of what is discarded then */
    atomic_uint senders_waiting;
    const struct stele_route *table;
    stele_bus *bus;
    struct stele__aggregate_place *aggregate; /* names the streams; NULL for others */
    struct sender *senders;                   /* guarded by the bus */
    struct keys *keys;                        /* NULL: there is one mailbox, which is: */
    struct partition main;
};

static void deliver(struct stele__mailbox *mailbox, struct stele__letter *letter);

/* --- Making and freeing ---------------------------------------------------------------------- */

static int priority_of(const struct stele_route *table)
{
    return table->priority ? table->priority : PRIORITY;
}

static size_t capacity_of(const struct stele_route *table)
{
    return table->capacity ? table->capacity : CAPACITY;
}

static bool init_partition(struct partition *partition, struct stele__box *box, size_t capacity)
{
    partition->box = box;
    return stele__mailbox_init(&partition->mailbox, box->bus->runtime, box->table->name, priority_of(box->table),
                               capacity, deliver);
}

static struct keys *make_keys(const struct stele_route *table)
{
    struct keys *keys = stele__alloc(sizeof(*keys));

    if (keys && pthread_mutex_init(&keys->mutex, NULL) != 0) {
        stele__free(keys, sizeof(*keys));
        return NULL;
    }
    if (keys) {
        stele__map_init(&keys->partitions);
        keys->capacity = capacity_of(table);
    }
    return keys;
}

struct stele__box *stele__box_new(stele_bus *bus, const struct stele_route *table,
                                  struct stele__aggregate_place *aggregate)
{
    struct stele__box *box = stele__alloc(sizeof(*box));
    bool is_made;

    if (!box)
        return NULL;
    box->table = table;
    box->bus = bus;
    box->aggregate = aggregate;
    atomic_init(&box->references, 1);
    if (table->partition || aggregate) {
        box->keys = make_keys(table);
        is_made = box->keys != NULL;
    } else {
        is_made = init_partition(&box->main, box, capacity_of(table));
    }
    if (is_made)
        return box;
    stele__free(box, sizeof(*box));
    return NULL;
}

void stele__box_ref(struct stele__box *box)
{
    atomic_fetch_add_explicit(&box->references, 1, memory_order_relaxed);
}

static void free_box(struct stele__box *box)
{
    if (box->keys) {
        stele__map_fini(&box->keys->partitions);
        pthread_mutex_destroy(&box->keys->mutex);
        stele__free(box->keys, sizeof(*box->keys));
    } else {
        stele__mailbox_fini(&box->main.mailbox);
    }
    stele__free(box, sizeof(*box));
}

static void main_gone(struct stele__mailbox *mailbox)
{
    free_box(((struct partition *)mailbox)->box);
}

void stele__box_unref(struct stele__box *box)
{
    if (!box || atomic_fetch_sub_explicit(&box->references, 1, memory_order_acq_rel) > 1)
        return;
    if (box->keys || stele__mailbox_retire(&box->main.mailbox, main_gone))
        free_box(box);
}

/* --- Partitions ---------------------------------------------------------------------------------- */

static void keyed_gone(struct stele__mailbox *mailbox)
{
    struct keyed *keyed = (struct keyed *)mailbox;
    struct stele__box *box = keyed->partition.box;

    stele__mailbox_fini(mailbox);
    stele__free(keyed, sizeof(*keyed) + keyed->size);
    stele__box_unref(box);
}

/* Under the keys' mutex. */
static struct keyed *make_keyed(struct stele__box *box, struct stele_slice key)
{
    struct keyed *keyed = stele__alloc(sizeof(*keyed) + key.size);

    if (!keyed)
        return NULL;
    keyed->size = key.size;
    if (key.size)
        memcpy(keyed->key, key.data, key.size);
    if (!init_partition(&keyed->partition, box, 0)) {
        stele__free(keyed, sizeof(*keyed) + key.size);
        return NULL;
    }
    key.data = keyed->key;
    if (!stele__map_put(&box->keys->partitions, key, keyed)) {
        stele__mailbox_fini(&keyed->partition.mailbox);
        stele__free(keyed, sizeof(*keyed) + key.size);
        return NULL;
    }
    stele__box_ref(box);
    if (atomic_load(&box->is_paused))
        stele__mailbox_pause(&keyed->partition.mailbox);
    return keyed;
}

/* The partition of a key, with one more delivery in it; NULL when memory is out. */
static struct partition *enter_keyed(struct stele__box *box, struct stele_slice key, bool beyond, bool *is_full)
{
    struct keys *keys = box->keys;
    struct keyed *keyed = NULL;

    pthread_mutex_lock(&keys->mutex);
    *is_full = !beyond && keys->waiting >= keys->capacity;
    if (!*is_full) {
        keyed = stele__map_get(&keys->partitions, key);
        if (!keyed)
            keyed = make_keyed(box, key);
    }
    if (keyed) {
        keyed->used++;
        keys->waiting++;
    }
    pthread_mutex_unlock(&keys->mutex);
    return keyed ? &keyed->partition : NULL;
}

/* A delivery leaves; the partition may be gone after. */
static void leave_keyed(struct partition *partition)
{
    struct keyed *keyed = (struct keyed *)partition;
    struct keys *keys = partition->box->keys;
    const struct stele_slice key = {keyed->key, keyed->size};
    bool is_last;

    pthread_mutex_lock(&keys->mutex);
    is_last = --keyed->used == 0;
    if (is_last)
        stele__map_remove(&keys->partitions, key);
    pthread_mutex_unlock(&keys->mutex);
    if (is_last && stele__mailbox_retire(&partition->mailbox, keyed_gone))
        keyed_gone(&partition->mailbox);
}

static void count_out(struct stele__box *box)
{
    if (!box->keys)
        return;
    pthread_mutex_lock(&box->keys->mutex);
    box->keys->waiting--;
    pthread_mutex_unlock(&box->keys->mutex);
}

/* --- Deliveries -------------------------------------------------------------------------------------- */

static struct delivery *make_delivery(const struct stele__sending *sending)
{
    struct delivery *delivery = stele__resize(NULL, 0, sizeof(*delivery));

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
static void settle(struct delivery *delivery, stele_status status)
{
    if (delivery->settled)
        delivery->settled(delivery->context, status);
    delivery->settled = NULL;
    stele__unit_leave(delivery->unit);
    delivery->unit = NULL;
}

/* The bus may be gone after. */
static void release(struct delivery *delivery)
{
    struct stele__route *route = delivery->route;

    stele_message_unref(delivery->message);
    if (delivery->partition && delivery->partition->box->keys)
        leave_keyed(delivery->partition);
    stele__free(delivery, sizeof(*delivery));
    stele__route_release(route, 1);
}

/* It never was in a mailbox, and its sender is told. */
static void withdraw(struct delivery *delivery)
{
    delivery->settled = NULL;
    settle(delivery, STELE_CANCELLED);
    release(delivery);
}

static void see_dropped(struct stele__route *route, const stele_message *message, unsigned hop, uint64_t parent_call,
                        stele_status status)
{
    const struct stele__item item = {.route = route};
    struct stele_context context;

    if (!stele__is_seen(route->bus, STELE_SEEN_DROPPED))
        return;
    stele__context_init(&context, route->bus, message, NULL, hop, parent_call);
    context.item = &item;
    stele__see(&context, STELE_SEEN_DROPPED, status, stele_status_text(status), 0, 0);
}

/* It was in a mailbox, and will not be handled. */
static void discard(struct delivery *delivery, stele_status status)
{
    stele__tally(&delivery->route->counts.dropped);
    stele__unit_fail(delivery->unit, status, delivery->route->table->name, delivery->message, NULL,
                     delivery->attempt - 1);
    see_dropped(delivery->route, delivery->message, delivery->hop, delivery->parent_call, status);
    settle(delivery, status);
    release(delivery);
}

/* --- Room ---------------------------------------------------------------------------------------------- */

/* Let a sender that waits try again, or all of them. */
static void call_senders(struct stele__box *box, bool all)
{
    if (atomic_load(&box->senders_waiting) == 0)
        return;
    pthread_mutex_lock(&box->bus->mutex);
    while (box->senders) {
        struct sender *sender = box->senders;

        box->senders = sender->next;
        atomic_fetch_sub(&box->senders_waiting, 1);
        stele__signal_set(&sender->signal);
        if (!all)
            break;
    }
    pthread_mutex_unlock(&box->bus->mutex);
}

static void enlist(struct stele__box *box, struct sender *sender)
{
    struct sender **place = &box->senders;

    pthread_mutex_lock(&box->bus->mutex);
    while (*place)
        place = &(*place)->next;
    sender->next = NULL;
    *place = sender;
    atomic_fetch_add(&box->senders_waiting, 1);
    pthread_mutex_unlock(&box->bus->mutex);
}

static void delist(struct stele__box *box, struct sender *sender)
{
    struct sender **place = &box->senders;

    pthread_mutex_lock(&box->bus->mutex);
    while (*place && *place != sender)
        place = &(*place)->next;
    if (*place) {
        *place = sender->next;
        atomic_fetch_sub(&box->senders_waiting, 1);
    }
    pthread_mutex_unlock(&box->bus->mutex);
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
static enum stele__mail put_keyed(struct stele__box *box, struct delivery *delivery, bool beyond)
{
    char scratch[STELE__FIELD_TEXT_SIZE];
    struct stele_arena arena;
    bool is_full = false;
    enum stele__mail mail;

    stele__arena_init(&arena);
    delivery->partition = enter_keyed(box, key_of(box, delivery->message, scratch, &arena), beyond, &is_full);
    stele__arena_fini(&arena);
    if (!delivery->partition)
        return is_full ? STELE__MAIL_FULL : STELE__MAIL_CLOSED;
    mail = stele__mailbox_force(&delivery->partition->mailbox, &delivery->letter);
    if (mail == STELE__MAIL_CLOSED)
        count_out(box);
    return mail;
}

static enum stele__mail put(struct stele__box *box, struct delivery *delivery, bool beyond)
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
        discard((struct delivery *)dropped, STELE_OVERLOAD);
    return mail;
}

/* Put it into its mailbox when there is room, until the deadline. */
static enum stele__mail put_waiting(struct stele__box *box, struct delivery *delivery, int64_t deadline)
{
    stele_runtime *runtime = box->bus->runtime;
    struct sender sender = {NULL};
    enum stele__mail mail = STELE__MAIL_FULL;
    bool is_in_time = true;

    if (!stele__signal_init(&sender.signal))
        return STELE__MAIL_FULL;
    while (mail == STELE__MAIL_FULL && is_in_time) {
        if (stele__signal_is_set(&sender.signal))
            stele__signal_reset(&sender.signal);
        enlist(box, &sender);
        mail = put(box, delivery, false);
        if (mail == STELE__MAIL_FULL)
            is_in_time = stele__runtime_wait(runtime, &sender.signal, deadline);
        delist(box, &sender);
    }
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
    see_dropped(route, sending->message, sending->origin.hop, sending->origin.parent_call, STELE_OVERLOAD);
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
    struct delivery *delivery = make_delivery(sending);
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
    withdraw(delivery);
    return mail == STELE__MAIL_FULL ? refuse_full(sending, error) : refuse_closed(sending, error);
}

/* --- Holding ------------------------------------------------------------------------------------------------------ */

static void run_delivery(struct delivery *delivery, bool was_held);

/* Let the mailbox go on, unless it is paused or something is held. Under the bus's mutex. */
static void go_on(struct partition *partition)
{
    if (!partition->hold && !atomic_load(&partition->box->is_paused))
        stele__mailbox_resume(&partition->mailbox);
}

/* Its time has come: in a task, for it calls a handler. */
static void run_held(struct stele__task *task)
{
    struct hold *hold = (struct hold *)((char *)task - offsetof(struct hold, task));
    struct delivery *delivery = hold->delivery;
    struct partition *partition = delivery->partition;
    stele_bus *bus = partition->box->bus;
    bool is_paused;

    pthread_mutex_lock(&bus->mutex);
    is_paused = atomic_load(&partition->box->is_paused) && !atomic_load(&partition->box->is_closed);
    if (is_paused)
        hold->is_due = true;
    else
        partition->hold = NULL;
    pthread_mutex_unlock(&bus->mutex);
    if (is_paused)
        return;
    stele__free(hold, sizeof(*hold));
    run_delivery(delivery, true);
}

static void hold_fired(struct stele__timer *timer)
{
    struct hold *hold = (struct hold *)timer;

    stele__runtime_post(hold->delivery->route->bus->runtime, &hold->task);
}

/* False when memory is out, or the bus is stopping for good. */
static bool hold_delivery(struct delivery *delivery, const struct stele__result *result)
{
    struct partition *partition = delivery->partition;
    stele_bus *bus = partition->box->bus;
    struct hold *hold = stele__alloc(sizeof(*hold));
    bool is_held;

    if (!hold)
        return false;
    hold->delivery = delivery;
    hold->is_suspended = result->verdict == STELE__SUSPENDED;
    hold->timer.name = hold->task.name = partition->box->table->name;
    hold->timer.fire = hold_fired;
    hold->task.priority = priority_of(partition->box->table);
    hold->task.run = run_held;
    pthread_mutex_lock(&bus->mutex);
    is_held = !atomic_load(&partition->box->is_closed);
    if (is_held) {
        partition->hold = hold;
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
static stele_status reason_to_discard(const struct delivery *delivery)
{
    const struct stele__box *box = delivery->partition->box;

    if (stele__unit_is_cancelled(delivery->unit) ||
        atomic_load_explicit(&delivery->route->is_removed, memory_order_relaxed))
        return STELE_CANCELLED;
    return atomic_load_explicit(&box->is_closed, memory_order_relaxed) ? (stele_status)atomic_load(&box->closing)
                                                                       : STELE_OK;
}

static void find_item(stele_bus *bus, const struct delivery *delivery, struct stele__item *out)
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

static struct stele__result call(struct delivery *delivery)
{
    stele_bus *bus = delivery->route->bus;
    struct stele__result result;
    struct stele_context context;
    struct stele__item item;

    find_item(bus, delivery, &item);
    stele__context_init(&context, bus, delivery->message, delivery->unit, delivery->hop, delivery->parent_call);
    context.item = &item;
    context.attempt = delivery->attempt;
    stele__current = &context;
    result = stele__call_once(&context);
    stele__current = context.outer;
    delivery->attempt += result.verdict != STELE__BACK_OFF;
    stele__context_fini(&context);
    return result;
}

/* It was to be called again, and cannot be. */
static void give_up(struct delivery *delivery, stele_status status)
{
    struct stele_context context;
    struct stele__item item;

    find_item(delivery->route->bus, delivery, &item);
    stele__context_init(&context, delivery->route->bus, delivery->message, delivery->unit, delivery->hop,
                        delivery->parent_call);
    context.item = &item;
    context.attempt = delivery->attempt;
    stele__current = &context;
    stele__call_give_up(&context, status);
    stele__current = context.outer;
    stele__context_fini(&context);
}

static bool is_to_be_held(const struct delivery *delivery, const struct stele__result *result)
{
    return result->verdict != STELE__HANDLED && reason_to_discard(delivery) == STELE_OK;
}

/* The unit of work does not wait for what is suspended. */
static void detach(struct delivery *delivery)
{
    stele__unit_leave(delivery->unit);
    delivery->unit = NULL;
}

/* One attempt; true if the delivery is held. */
static bool attempt(struct delivery *delivery, stele_status *status)
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
        give_up(delivery, result.status == STELE_OK ? STELE_CANCELLED : result.status);
    *status = result.status;
    stele__read_end(bus, reading);
    return is_held;
}

static void run_delivery(struct delivery *delivery, bool was_held)
{
    struct partition *partition = delivery->partition;
    stele_bus *bus = delivery->route->bus;
    stele_status status = reason_to_discard(delivery);

    if (status != STELE_OK) {
        stele__tally(&delivery->route->counts.dropped);
        stele__unit_fail(delivery->unit, status, delivery->route->table->name, delivery->message, NULL,
                         delivery->attempt - 1);
        see_dropped(delivery->route, delivery->message, delivery->hop, delivery->parent_call, status);
    } else if (attempt(delivery, &status)) {
        return;
    }
    settle(delivery, status);
    if (was_held) {
        pthread_mutex_lock(&bus->mutex);
        go_on(partition);
        pthread_mutex_unlock(&bus->mutex);
    }
    release(delivery);
}

static void deliver(struct stele__mailbox *mailbox, struct stele__letter *letter)
{
    struct stele__box *box = ((struct partition *)mailbox)->box;

    count_out(box);
    call_senders(box, false);
    run_delivery((struct delivery *)letter, false);
}

/* --- To one route ------------------------------------------------------------------------------------------------------ */

/* Inline: handled when this returns. */
static void deliver_inline(struct stele__route *route, const stele_message *message)
{
    const struct delivery delivery = {.route = route, .message = stele_message_ref(message)};
    const struct stele__reading reading = stele__read_begin(route->bus);
    struct stele_context context;
    struct stele__item item;

    if (delivery.message) {
        find_item(route->bus, &delivery, &item);
        stele__context_init(&context, route->bus, delivery.message, NULL, 1, 0);
        context.item = &item;
        stele__current = &context;
        stele__call_inline(&context);
        stele__current = context.outer;
        stele__context_fini(&context);
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

/* --- Pausing and closing ----------------------------------------------------------------------------------------------- */

typedef void each_partition(struct partition *partition);

/* Under the bus's mutex. */
static void visit(struct stele__box *box, each_partition *each)
{
    struct stele_slice key;
    size_t place = 0;
    void *keyed;

    if (!box->keys) {
        each(&box->main);
        return;
    }
    pthread_mutex_lock(&box->keys->mutex);
    while (stele__map_next(&box->keys->partitions, &place, &key, &keyed))
        each(keyed);
    pthread_mutex_unlock(&box->keys->mutex);
}

static void pause_one(struct partition *partition)
{
    stele__mailbox_pause(&partition->mailbox);
}

static void resume_one(struct partition *partition)
{
    struct hold *hold = partition->hold;

    if (!hold) {
        stele__mailbox_resume(&partition->mailbox);
    } else if (hold->is_suspended || hold->is_due) {
        hold->is_suspended = hold->is_due = false;
        stele__runtime_post(partition->box->bus->runtime, &hold->task);
    }
}

void stele__box_pause(struct stele__box *box)
{
    atomic_store(&box->is_paused, true);
    visit(box, pause_one);
}

void stele__box_resume(struct stele__box *box)
{
    atomic_store(&box->is_paused, false);
    visit(box, resume_one);
}

static void discard_chain(struct stele__letter *letter, stele_status status, uint64_t *count)
{
    while (letter) {
        struct stele__letter *next = letter->next;
        struct stele__box *box = ((struct delivery *)letter)->partition->box;

        count_out(box);
        discard((struct delivery *)letter, status);
        letter = next;
        ++*count;
    }
}

/* Under the bus's mutex: take what is held and will not be called; NULL if there is nothing, or its time has come. */
static struct delivery *take_held(struct partition *partition)
{
    struct hold *hold = partition->hold;
    struct delivery *delivery;

    if (!hold || (!hold->is_suspended && !hold->is_due && !stele__timer_cancel(&hold->timer)))
        return NULL;
    delivery = hold->delivery;
    partition->hold = NULL;
    stele__free(hold, sizeof(*hold));
    return delivery;
}

/* Under the bus's mutex: close a mailbox; what was in it, the held one first, joins the chain. */
static void close_one(struct partition *partition, struct stele__letter ***end)
{
    struct delivery *held = take_held(partition);
    struct stele__letter *letters = stele__mailbox_close(&partition->mailbox);

    if (held) {
        if (partition->box->keys) /* it was counted out when it was delivered; the caller does it again */
            partition->box->keys->waiting++;
        **end = &held->letter;
        *end = &held->letter.next;
    }
    for (**end = letters; **end; *end = &(**end)->next)
        continue;
}

uint64_t stele__box_close(struct stele__box *box, stele_status status)
{
    struct stele__letter *chain = NULL;
    struct stele__letter **end = &chain;
    uint64_t count = 0;
    struct stele_slice key;
    size_t place = 0;
    void *keyed;

    stele__box_ref(box);
    pthread_mutex_lock(&box->bus->mutex);
    atomic_store(&box->closing, (unsigned char)status);
    atomic_store(&box->is_closed, true);
    if (!box->keys)
        close_one(&box->main, &end);
    else {
        pthread_mutex_lock(&box->keys->mutex);
        while (stele__map_next(&box->keys->partitions, &place, &key, &keyed))
            close_one(keyed, &end);
        pthread_mutex_unlock(&box->keys->mutex);
    }
    pthread_mutex_unlock(&box->bus->mutex);
    call_senders(box, true);
    discard_chain(chain, status, &count);
    stele__box_unref(box);
    return count;
}

void stele__box_count(struct stele__box *box, struct stele__box_counts *out)
{
    struct stele_slice key;
    size_t place = 0;
    void *keyed;

    memset(out, 0, sizeof(*out));
    out->is_paused = atomic_load(&box->is_paused);
    if (!box->keys) {
        out->waiting = stele__mailbox_count(&box->main.mailbox) + (box->main.hold != NULL);
        out->is_paused = out->is_paused || (box->main.hold && box->main.hold->is_suspended);
        out->partitions = out->waiting > 0;
        return;
    }
    pthread_mutex_lock(&box->keys->mutex);
    out->waiting = box->keys->waiting;
    while (stele__map_next(&box->keys->partitions, &place, &key, &keyed)) {
        const struct partition *partition = keyed;

        out->partitions++;
        out->waiting += partition->hold != NULL;
        out->is_paused = out->is_paused || (partition->hold && partition->hold->is_suspended);
    }
    pthread_mutex_unlock(&box->keys->mutex);
}
