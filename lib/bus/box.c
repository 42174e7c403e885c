/*
 * Boxes: the mailboxes of a route, one, or one for each value of the partition
 * key.
 *
 *     new ── partitions made and left ── pause, resume ── close ── last reference ── freed
 *
 * A partition is made by the first message of its key and freed behind the last.
 * A box outlives its routes as long as a worker may look into its mailboxes.
 *
 * What can fail: memory.
 */
#include "bus/box.h"

#include "base/memory.h"

#include <string.h>

enum { CAPACITY = 1024, PRIORITY = 100 };

/* A partition of a key. */
struct keyed {
    struct stele__partition partition;
    size_t used; /* deliveries it has; guarded by `keys` */
    size_t size; /* of the key */
    char key[];
};

/* The partitions by key. */
struct stele__keys {
    pthread_mutex_t mutex;        /* guards what follows */
    struct stele__map partitions; /* struct keyed * */
    size_t waiting;
    size_t capacity;
};

/* --- Making and freeing ---------------------------------------------------------------------- */

int stele__box_priority(const struct stele_route *table)
{
    return table->priority ? table->priority : PRIORITY;
}

static size_t capacity_of(const struct stele_route *table)
{
    return table->capacity ? table->capacity : CAPACITY;
}

static bool init_partition(struct stele__partition *partition, struct stele__box *box, size_t capacity)
{
    partition->box = box;
    return stele__mailbox_init(&partition->mailbox, box->bus->runtime, box->table->name,
                               stele__box_priority(box->table), capacity, stele__delivery_receive);
}

static struct stele__keys *make_keys(const struct stele_route *table)
{
    struct stele__keys *keys = stele__alloc(sizeof(*keys));

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
    free_box(((struct stele__partition *)mailbox)->box);
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

struct stele__partition *stele__partition_enter(struct stele__box *box, struct stele_slice key, bool beyond,
                                                bool *is_full)
{
    struct stele__keys *keys = box->keys;
    struct keyed *keyed = NULL;

    pthread_mutex_lock(&keys->mutex);
    *is_full = !beyond && keys->waiting >= keys->capacity;
    /* Closing has visited the partitions, or will: a new one would stay open. */
    if (!*is_full && !atomic_load(&box->is_closed)) {
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

void stele__partition_leave(struct stele__partition *partition)
{
    struct keyed *keyed = (struct keyed *)partition;
    struct stele__keys *keys = partition->box->keys;
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

void stele__box_count_out(struct stele__box *box)
{
    if (!box->keys)
        return;
    pthread_mutex_lock(&box->keys->mutex);
    box->keys->waiting--;
    pthread_mutex_unlock(&box->keys->mutex);
}

/* --- Pausing and closing ----------------------------------------------------------------------------------------------- */

typedef void each_partition(struct stele__partition *partition, void *context);

/* Under the bus's mutex. */
static void visit(struct stele__box *box, each_partition *each, void *context)
{
    struct stele_slice key;
    size_t place = 0;
    void *keyed;

    if (!box->keys) {
        each(&box->main, context);
        return;
    }
    pthread_mutex_lock(&box->keys->mutex);
    while (stele__map_next(&box->keys->partitions, &place, &key, &keyed))
        each(keyed, context);
    pthread_mutex_unlock(&box->keys->mutex);
}

static void pause_one(struct stele__partition *partition, void *context)
{
    (void)context;
    stele__mailbox_pause(&partition->mailbox);
}

static void resume_one(struct stele__partition *partition, void *context)
{
    struct stele__hold *hold = partition->hold;

    (void)context;
    if (partition->is_recalled) /* it goes on when that call has ended */
        return;
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
    visit(box, pause_one, NULL);
}

void stele__box_resume(struct stele__box *box)
{
    atomic_store(&box->is_paused, false);
    visit(box, resume_one, NULL);
}

static void discard_chain(struct stele__letter *letter, stele_status status, uint64_t *count)
{
    while (letter) {
        struct stele__letter *next = letter->next;
        struct stele__box *box = ((struct stele__delivery *)letter)->partition->box;

        stele__box_count_out(box);
        stele__delivery_discard((struct stele__delivery *)letter, status);
        letter = next;
        ++*count;
    }
}

/* Under the bus's mutex: take what is held and will not be called; NULL if there is nothing, or its time has come. */
static struct stele__delivery *take_held(struct stele__partition *partition)
{
    struct stele__hold *hold = partition->hold;
    struct stele__delivery *delivery;

    if (!hold || (!hold->is_suspended && !hold->is_due && !stele__timer_cancel(&hold->timer)))
        return NULL;
    delivery = hold->delivery;
    partition->hold = NULL;
    stele__free(hold, sizeof(*hold));
    return delivery;
}

/* Under the bus's mutex: close a mailbox; what was in it, the held one first, joins the chain that `context` is the end of. */
static void close_one(struct stele__partition *partition, void *context)
{
    struct stele__letter ***end = context;
    struct stele__delivery *held = take_held(partition);
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

    stele__box_ref(box);
    pthread_mutex_lock(&box->bus->mutex);
    atomic_store(&box->closing, (unsigned char)status);
    atomic_store(&box->is_closed, true);
    visit(box, close_one, &end);
    pthread_mutex_unlock(&box->bus->mutex);
    stele__box_call_senders(box, true);
    discard_chain(chain, status, &count);
    stele__box_unref(box);
    return count;
}

static void count_one(struct stele__partition *partition, void *context)
{
    struct stele__box_counts *counts = context;

    counts->partitions++;
    counts->waiting += partition->hold != NULL;
    counts->is_paused = counts->is_paused || (partition->hold && partition->hold->is_suspended);
}

static size_t waiting_in(struct stele__keys *keys)
{
    size_t waiting;

    pthread_mutex_lock(&keys->mutex);
    waiting = keys->waiting;
    pthread_mutex_unlock(&keys->mutex);
    return waiting;
}

void stele__box_count(struct stele__box *box, struct stele__box_counts *out)
{
    memset(out, 0, sizeof(*out));
    out->is_paused = atomic_load(&box->is_paused);
    visit(box, count_one, out);
    out->waiting += box->keys ? waiting_in(box->keys) : stele__mailbox_count(&box->main.mailbox);
    if (!box->keys)
        out->partitions = out->waiting > 0;
}
