/*
 * stele/upcast.h - reading old shapes: from (type, version) to what the program knows today.
 *
 * Events are never rewritten. An *upcaster* turns the payload of one stored
 * shape into another, newer one, and is applied wherever events are read, so
 * that no reader ever sees an old shape. It is declared, without code where the
 * change is plain:
 *
 *     @example upcast
 *     // version 1 had "amount" in whole euros; version 2 has cents and a currency
 *     #define PAID_V1(FIELD, T) FIELD(T, TEXT, order) FIELD(T, INT64, amount)
 *     STELE_DECLARE(paid_v1, PAID_V1);
 *     STELE_DEFINE_EVENT(paid_v1, "order.paid", 1, PAID_V1);
 *
 *     #define PAID(FIELD, T) FIELD(T, TEXT, order) FIELD(T, INT64, cents) FIELD(T, TEXT, currency)
 *     STELE_DECLARE(paid, PAID);
 *     STELE_DEFINE_EVENT(paid, "order.paid", 2, PAID);
 *
 *     static stele_status to_cents(const struct paid_v1 *old, stele_upcast *upcast)
 *     {
 *         return STELE_UPCAST_TO(upcast, paid, .order = old->order, .cents = old->amount * 100, .currency = "EUR");
 *     }
 *     STELE_DEFINE_UPCAST(to_cents, paid_v1)
 *
 *     // and an older name of the type, whose payload only named a field differently
 *     static const struct stele_change renamed[] = {STELE_RENAME("order_id", "order")};
 *
 *     static const struct stele_upcaster upcasters[] = {
 *         {.from = "order.paid", .from_version = 1, .to = "order.paid", .to_version = 2, .up = to_cents_up,
 *          .old_type = &paid_v1_type, .new_type = &paid_type},
 *         {.from = "purchase.paid", .from_version = 1, .to = "order.paid", .to_version = 1, .changes = renamed,
 *          .change_count = 1},
 *     };
 *
 *     stele_status open_current(stele_store **out, stele_error **error)
 *     {
 *         struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
 *         options.upcasters = upcasters;
 *         options.upcaster_count = sizeof(upcasters) / sizeof(upcasters[0]);
 *         return stele_store_open("sqlite:orders.db", &options, out, error);
 *     }
 *     @end
 *
 * An event goes the shortest registered way, in steps, from its stored shape
 * to one from which no way leads on; of two equally short ways, that whose
 * first step goes farthest (to the highest version; of two that are alike in
 * that too, the one that stands first in the table). Id, source, subject, time, position, stream, its
 * version, correlation and causation stay as they are stored.
 *
 * A step may give several events for one (or none): they share id and position
 * and are numbered by stele_message_part(); each goes on its own way. All of
 * this is the reader's view: versions of streams and counts of events are of
 * what is stored.
 *
 * What a query selects by type is what an event is read as, not what it is
 * stored as. Its limit counts what is read; an event that was split is
 * never cut, so the last one may exceed it. stele_find() and
 * stele_find_position() give the first part, and STELE_NOT_FOUND for an event
 * that is read as none.
 *
 * A step that fails, or whose result is not what the step said, is
 * STELE_CORRUPT for the reader, as a damaged event is: the error names the event
 * ("position", "stream", "version"), the "step" and what was wrong.
 */
#ifndef STELE_UPCAST_H
#define STELE_UPCAST_H

#include <stele/base.h>
#include <stele/error.h>
#include <stele/message.h>
#include <stele/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What an upcaster writes to. Owned by the library; valid for the call. */
typedef struct stele_upcast stele_upcast;

/*
 * Give an event of the step's new type, or of one of its `others`;
 * STELE_UPCAST_TO is the typed way here. The payload is used during the call
 * only. A failure ends the event, whatever the function returns then:
 * STELE_INVALID for a payload that breaks a rule, or a type that is not the
 * step's; STELE_LIMIT beyond STELE_UPCAST_EVENTS_MAX, the store's payload limit or
 * STELE_BATCH_BYTES_MAX for all that becomes of one event; STELE_CORRUPT if a
 * later step failed; STELE_NO_MEMORY.
 */
STELE_API stele_status stele_upcast_give(stele_upcast *upcast, const struct stele_type *type, const void *payload);
#define STELE_UPCAST_TO(...) STELE__UPCAST_TO(__VA_ARGS__, )
#define STELE__UPCAST_TO(upcast, type, ...) stele_upcast_give((upcast), &type##_type, &(const struct type){__VA_ARGS__})

/* The event as it is stored, for its envelope. Valid during the call. */
STELE_API const stele_message *stele_upcast_message(const stele_upcast *upcast);

/* Refuse, with a text in the manner of printf: returns STELE_CORRUPT, which the reader gets, naming event, step and text. */
STELE_API stele_status stele_upcast_fail(stele_upcast *upcast, const char *format, ...) STELE_PRINTF(2, 3);

/*
 * A step in code. `old` lives for the call. It must do nothing but give: it is
 * called by any thread that reads, whenever it reads, and a transaction may be
 * open meanwhile. Any status but STELE_OK and STELE_NO_MEMORY is a refusal.
 */
typedef stele_status stele_upcast_up(const void *old, stele_upcast *upcast);

/* Define `NAME_up` from a typed function `stele_status NAME(const struct TYPE *old, stele_upcast *upcast)`. */
#define STELE_DEFINE_UPCAST(name, type) \
    static stele_status name##_up(const void *untyped, stele_upcast *upcast) \
    { \
        const struct type *old = untyped; \
        return name(old, upcast); \
    }

/*
 * One plain change of a payload, at its top level. They are made one after the
 * other. A field that is to be renamed or dropped need not be there; one that
 * would be there twice after renaming is a failure of the step.
 */
enum stele_change_kind { STELE_CHANGE_RENAME, STELE_CHANGE_DROP, STELE_CHANGE_ADD, STELE_CHANGE_SET };
struct stele_change {
    enum stele_change_kind kind;
    const char *field;
    const char *renamed; /* of RENAME */
    const char *json;    /* of ADD (unless the field is there) and SET (in any case): the value as JSON */
};
#define STELE_RENAME(old_name, new_name) \
    { \
        STELE_CHANGE_RENAME, old_name, new_name, NULL \
    }
#define STELE_DROP(name) \
    { \
        STELE_CHANGE_DROP, name, NULL, NULL \
    }
#define STELE_ADD(name, value) \
    { \
        STELE_CHANGE_ADD, name, NULL, value \
    }
#define STELE_SET(name, value) \
    { \
        STELE_CHANGE_SET, name, NULL, value \
    }

/* One step; constant. Either `up` with both types, or `changes` (none at all: only name or version differ). */
struct stele_upcaster {
    const char *from;
    uint32_t from_version;
    const char *to;
    uint32_t to_version;
    stele_upcast_up *up;
    const struct stele_type *old_type;      /* of `up`: `from` in `from_version` */
    const struct stele_type *new_type;      /* of `up`: `to` in `to_version` */
    const struct stele_type *const *others; /* of `up`: what else it may give */
    size_t other_count;
    const struct stele_change *changes;
    size_t change_count;
};

/*
 * Check a set of steps, as stele_store_open() does. STELE_INVALID names the
 * step and what is wrong: no name or version 0; from a shape to itself; a step
 * that goes back in versions of one name; two steps between the same shapes;
 * a circle (its path in the message); types that are not those of the step;
 * both ways, or half of one; a change without field, or JSON that is none.
 * STELE_LIMIT for a name that is too long, more than STELE_UPCASTERS_MAX;
 * STELE_NO_MEMORY.
 */
STELE_API stele_status stele_upcasters_check(const struct stele_upcaster *upcasters, size_t count, stele_error **error);

/* The number of a message among those that one stored event was split into, from 0. */
STELE_API unsigned stele_message_part(const stele_message *message);

#ifdef __cplusplus
}
#endif

#endif
