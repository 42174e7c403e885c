/*
 * What the mailboxes of routes are made of: boxes (box.c), their partitions, and
 * the deliveries in them (queue.c sends them, delivery.c carries them out). Nobody
 * else looks into them.
 */
#ifndef STELE_BUS_BOX_H
#define STELE_BUS_BOX_H

#include "bus/core.h"

struct stele__keys;
struct stele__sender;

/* One message on its way to one route. */
struct stele__delivery {
    struct stele__letter letter;
    struct stele__route *route;
    struct stele__partition *partition;
    stele_message *message;
    struct stele_unit *unit;
    uint64_t parent_call;
    stele__settled *settled;
    void *context;
    unsigned hop;
    unsigned attempt;
};

/* A delivery that is to be called again. */
struct stele__hold {
    struct stele__timer timer;
    struct stele__task task;
    struct stele__delivery *delivery;
    bool is_suspended; /* until resumed */
    bool is_due;       /* its time came while the box was paused */
};

struct stele__partition {
    struct stele__mailbox mailbox;
    struct stele__box *box;
    struct stele__hold *hold; /* guarded by the bus */
    bool is_recalled;         /* what was held is being called again; likewise */
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
    struct stele__sender *senders;            /* guarded by the bus */
    struct stele__keys *keys;                 /* NULL: there is one mailbox, which is: */
    struct stele__partition main;
};

/* --- Boxes (box.c) ------------------------------------------------------------------------ */

int stele__box_priority(const struct stele_route *table);
/* The partition of a key, with one more delivery in it; NULL when memory is out, the box closed, or with `*is_full`.
 * `beyond`: whatever the capacity. */
struct stele__partition *stele__partition_enter(struct stele__box *box, struct stele_slice key, bool beyond,
                                                bool *is_full);
/* A delivery leaves; the partition may be gone after. */
void stele__partition_leave(struct stele__partition *partition);
/* A delivery waits no longer: there is room for one more. */
void stele__box_count_out(struct stele__box *box);

/* --- Sending (queue.c) --------------------------------------------------------------------- */

/* Let a sender that waits try again, or all of them. */
void stele__box_call_senders(struct stele__box *box, bool all);

/* --- Deliveries (delivery.c) ------------------------------------------------------------------ */

/* NULL when memory is out. */
struct stele__delivery *stele__delivery_new(const struct stele__sending *sending);
/* It never was in a mailbox, and its sender is told. */
void stele__delivery_withdraw(struct stele__delivery *delivery);
/* It was in a mailbox, and will not be handled. */
void stele__delivery_discard(struct stele__delivery *delivery, stele_status status);
/* What a mailbox delivers to. */
void stele__delivery_receive(struct stele__mailbox *mailbox, struct stele__letter *letter);
/* Tell observers that a message was thrown out, or not taken. */
void stele__see_dropped(struct stele__route *route, const stele_message *message, unsigned hop, uint64_t parent_call,
                        stele_status status);

#endif
