/*
 * Publishing: a message to the routes of its type.
 *
 *     message ─► entry of its type ─► interceptors at PUBLISH ─► each item, in order of adding
 *                                                                  plain:  call
 *                                                                  inline: call.c
 *                                                                  queued: queue.c
 *
 * The plain way, which most inline routes go, does nothing around a call but look
 * at its status: one context on the stack serves all of them, nothing is
 * allocated, locked or timed.
 *
 * What can fail: nobody handles a command (STELE_NO_HANDLER), the message follows
 * from too many (STELE_LIMIT), a mailbox is full (STELE_OVERLOAD), an interceptor
 * says no, memory.
 */
#include "bus/core.h"

#include "base/error.h"
#include "base/text.h"

enum { REPLACEMENTS_MAX = 8 };

static stele_status fail_type(const stele_message *message, stele_status status, const char *why, stele_error **error)
{
    const struct stele_slice type = stele_message_type(message);

    stele__fail(error, status, "%.*s: %s", STELE_SLICE(type), why);
    stele__error_add(error, "type", "%.*s", STELE_SLICE(type));
    return status;
}

static void see_message(stele_bus *bus, const stele_message *message, const struct stele__origin *origin,
                        enum stele_seen seen, size_t count)
{
    struct stele__context context;

    if (!stele__is_seen(bus, seen))
        return;
    stele__context_init(&context, bus, message, origin->unit, origin->hop, origin->parent_call);
    stele__see(&context, seen, STELE_OK, "", 0, count);
}

/* --- Messages that go no further --------------------------------------------------------------- */

static stele_status end_hops(stele_bus *bus, const stele_message *message, stele_error **error)
{
    const struct stele_slice type = stele_message_type(message);

    stele__tally(&bus->hops_ended);
    stele__fail(error, STELE_LIMIT, "%.*s follows from %u messages, the limit is %u hops: does it run in a circle?",
                STELE_SLICE(type), bus->hops, bus->hops);
    stele__error_add(error, "field", "hops");
    stele__error_add(error, "limit", "%u", bus->hops);
    stele__error_add(error, "actual", "%u", bus->hops + 1);
    stele__error_add(error, "type", "%.*s", STELE_SLICE(type));
    return STELE_LIMIT;
}

static bool needs_handler(const stele_message *message)
{
    const enum stele_message_kind kind = stele_message_kind(message);

    return kind == STELE_COMMAND || kind == STELE_QUERY;
}

static stele_status unrouted(stele_bus *bus, const stele_message *message, const struct stele__origin *origin,
                             stele_error **error)
{
    if (needs_handler(message)) {
        see_message(bus, message, origin, STELE_SEEN_UNROUTED, 0);
        return fail_type(message, STELE_NO_HANDLER, "no route handles it", error);
    }
    if (stele_message_kind(message) == STELE_EVENT) {
        stele__tally(&bus->unrouted);
        see_message(bus, message, origin, STELE_SEEN_UNROUTED, 0);
    }
    return STELE_OK;
}

static void cancelled(const stele_message *message, const struct stele__origin *origin)
{
    stele__unit_fail(origin->unit, STELE_CANCELLED, "", message, "its unit of work was cancelled", 0);
}

/* --- One route after the other ------------------------------------------------------------------- */

static bool is_gone(const stele_bus *bus, const struct stele__table *table, const struct stele__route *route)
{
    return (atomic_load_explicit(&bus->table, memory_order_relaxed) != table ||
            atomic_load_explicit(&bus->has_ghosts, memory_order_relaxed)) &&
           atomic_load_explicit(&route->is_removed, memory_order_relaxed);
}

/* Inline routes without anything around them. Returns how many were called. */
static size_t call_plain(struct stele__context *context, const struct stele__entry *entry,
                         const struct stele__table *table)
{
    const struct stele__item *const end = entry->items + entry->count;
    uintptr_t ticket = stele__tickets(entry->count);
    stele_bus *const bus = context->bus;
    size_t left_out = 0;

    for (const struct stele__item *item = entry->items; item < end; item++, ticket++) {
        stele_status status;

        if (is_gone(bus, table, item->route)) {
            left_out++;
            continue;
        }
        if (stele__unit_is_cancelled(context->unit)) {
            stele__unit_fail(context->unit, STELE_CANCELLED, item->route->table->name, context->message, NULL, 0);
            left_out++;
            continue;
        }
        context->item = item;
        status = item->handle(item->resource, context->message, stele__context_open(context, ticket));
        if (status != STELE_OK || context->emitted_count || context->failed != STELE_OK)
            stele__call_settle_plain(context, status);
    }
    stele__context_close(context);
    return entry->count - left_out;
}

/* What going through the routes gave. */
struct reach {
    size_t reached;
    size_t called;
    stele_status status;
    stele_error **error;
};

static void send_one(const struct stele__context *context, const struct stele__item *item, struct reach *reach)
{
    const struct stele__sending sending = {.route = item->route,
                                           .message = context->message,
                                           .origin = {context->unit, context->hop, context->parent_call}};
    const stele_status status = stele__queue(&sending, reach->status == STELE_OK ? reach->error : NULL);

    if (status == STELE_OK)
        reach->reached++;
    else if (reach->status == STELE_OK)
        reach->status = status;
}

static void reach_one(struct stele__context *context, const struct stele__item *item, struct reach *reach)
{
    if (!stele__where_holds(&item->route->table->where, context->message))
        return;
    if (item->route->box) {
        send_one(context, item, reach);
        return;
    }
    reach->reached++;
    reach->called++;
    context->item = item;
    stele__call_inline(context);
}

static void reach_all(struct stele__context *context, const struct stele__entry *entry,
                      const struct stele__table *table, struct reach *reach)
{
    for (size_t i = 0; i < entry->count; i++) {
        const struct stele__item *item = &entry->items[i];

        if (is_gone(context->bus, table, item->route))
            continue;
        if (stele__unit_is_cancelled(context->unit))
            stele__unit_fail(context->unit, STELE_CANCELLED, item->route->table->name, context->message, NULL, 0);
        else
            reach_one(context, item, reach);
    }
}

/* To the routes of an entry, whatever the interceptors said before. */
static stele_status distribute(stele_bus *bus, const struct stele__entry *entry, const stele_message *message,
                               const struct stele__origin *origin, struct reach *reach)
{
    const struct stele__table *table = atomic_load_explicit(&bus->table, memory_order_relaxed);
    struct stele__context context;

    stele__context_init(&context, bus, message, origin->unit, origin->hop, origin->parent_call);
    stele__current = &context;
    if (entry->is_plain && !stele__is_seen(bus, STELE_SEEN_ALL))
        reach->reached = reach->called = call_plain(&context, entry, table);
    else
        reach_all(&context, entry, table, reach);
    stele__current = context.outer;
    if (origin->unit)
        stele__unit_count(origin->unit, &origin->unit->deliveries, reach->called);
    stele__context_fini(&context);
    return reach->status;
}

/* --- Interceptors ---------------------------------------------------------------------------------- */

/* What they made of the message: itself, another one (`*replaced` is the caller's), none (SKIP). */
static stele_status ask(const struct stele__entry *entry, stele_bus *bus, const stele_message *message,
                        const struct stele__origin *origin, stele_message **replaced, bool *is_skipped,
                        stele_error **error)
{
    struct stele_call call;
    struct stele_answer answer;
    stele_status status = STELE_OK;

    stele__call_init(&call, bus, message, NULL, origin->unit ? origin->unit->deadline : INT64_MAX);
    answer = stele__chain_ask(&entry->chain, STELE_AT_PUBLISH, &call);
    if (answer.signal == STELE_SKIP) {
        *is_skipped = true;
    } else if (answer.signal == STELE_FALLBACK) {
        *replaced = stele_message_ref(*(stele_message **)stele__vector_at(&call.given, 0));
        if (!*replaced)
            status = stele__fail_memory(error);
    } else if (answer.signal != STELE_PROCEED) {
        const char *text = stele__call_answer_text(&call);

        text = *text ? text : stele_status_text(answer.status);
        status = fail_type(message, answer.status, text, error);
        stele__error_add(error, "interceptor", "%s", call.asked->name);
        if (status == STELE_OVERLOAD)
            stele__unit_fail(origin->unit, status, "", message, text, 0);
    }
    stele__call_fini(&call);
    return status;
}

/* --- The whole way ------------------------------------------------------------------------------------ */

static stele_status publish_to(stele_bus *bus, const struct stele__entry *entry, const stele_message *message,
                               const struct stele__origin *origin, size_t *reached, stele_error **error)
{
    struct reach reach = {.status = STELE_OK, .error = error};
    stele_status status;

    if (origin->unit)
        stele__unit_note(origin->unit, message);
    if (bus->measures)
        stele__tally(&bus->published);
    if (entry->count == 0) {
        see_message(bus, message, origin, STELE_SEEN_PUBLISHED, 0);
        return unrouted(bus, message, origin, error);
    }
    if (entry->exact > 1 && needs_handler(message))
        return fail_type(message, STELE_INVALID, "more than one route handles it", error);
    status = distribute(bus, entry, message, origin, &reach);
    see_message(bus, message, origin, STELE_SEEN_PUBLISHED, reach.reached);
    if (reached)
        *reached = reach.reached;
    if (status == STELE_OK && reach.reached == 0)
        return unrouted(bus, message, origin, error);
    return status;
}

static stele_status publish_intercepted(stele_bus *bus, const struct stele__entry *entry, const stele_message *message,
                                        const struct stele__origin *origin, size_t *reached, stele_error **error)
{
    stele_message *owned = NULL;
    stele_status status = STELE_OK;
    bool is_skipped = false;
    unsigned replacements = 0;

    while (entry && (entry->chain.points & STELE_AT_PUBLISH)) {
        stele_message *replaced = NULL;

        status = ask(entry, bus, message, origin, &replaced, &is_skipped, error);
        if (!replaced)
            break;
        stele_message_unref(owned);
        owned = replaced;
        message = replaced;
        if (++replacements > REPLACEMENTS_MAX) {
            status = fail_type(message, STELE_LIMIT, "interceptors replace one message by another in a circle", error);
            break;
        }
        entry = stele__table_find(bus, stele_message_type(message));
    }
    if (status == STELE_OK && !entry)
        status = stele__fail_memory(error);
    if (status == STELE_OK && !is_skipped)
        status = publish_to(bus, entry, message, origin, reached, error);
    stele_message_unref(owned);
    return status;
}

stele_status stele__publish(stele_bus *bus, const stele_message *message, const struct stele__origin *origin,
                            size_t *reached, stele_error **error)
{
    const struct stele__entry *entry;

    if (origin->hop > bus->hops)
        return end_hops(bus, message, error);
    if (stele__unit_is_cancelled(origin->unit)) {
        cancelled(message, origin);
        return STELE_OK;
    }
    if (stele__bus_state(bus) == STELE__BUS_STOPPED)
        return stele__bus_refuse(bus, error);
    entry = stele__table_find(bus, stele_message_type(message));
    if (!entry)
        return stele__fail_memory(error);
    if (entry->chain.points & STELE_AT_PUBLISH)
        return publish_intercepted(bus, entry, message, origin, reached, error);
    return publish_to(bus, entry, message, origin, reached, error);
}
