/*
 * Group commit, leader and followers.
 *
 *     entry -> room (back-pressure) -> waiting ==> group -> backend, one sync -+-> its thread, woken
 *                                        ^   taken by the leader               +-> finished -> deliver functions
 *                                        +-- those who come meanwhile
 *
 * Who comes while nobody leads, leads: in its own thread, at once. It takes all
 * that waits, hands the group to the backend, and wakes the others with one
 * wake-up. If somebody came meanwhile, the first of them (the heir) leads next;
 * it sleeps on a word of its own, so that it can be woken first and alone. What was pushed
 * by nobody who waits is committed by any leader; where there is none, by the
 * committer, a thread that exists once something was pushed.
 *
 * A thread that has just been woken with its outcome often comes back with the
 * next append. So a leader gives others the processor for a moment while fewer
 * wait than were about at the last commit: those in it, and those who came
 * meanwhile. A thread alone never does, nor does it sleep, wake or switch:
 * four times an uncontended mutex is all it pays.
 *
 * What can fail: no thread for the committer. Failures of the backend are the
 * entries' outcomes.
 */
#include "store/queue.h"

#include "base/error.h"
#include "store/hooks.h"
#include "store/idle.h"
#include "store/listen.h"
#include "runtime/thread.h"

#include <sched.h>
#include <string.h>

enum { DALLY_NS = 20000 };

enum entry_state { ENTRY_WAITS, ENTRY_LEADS, ENTRY_DONE };

/* What a leader takes along. */
struct group {
    struct stele__queue_list list;
    bool has_own;   /* the leader's own entry is in it */
    unsigned words; /* a bit for each word that somebody of it sleeps on */
};

/* Where a thread is inside deliver functions, innermost first: there it is never made to wait for room. */
struct delivery {
    const struct stele__queue *queue;
    const struct delivery *outer;
};

static _Thread_local const struct delivery *innermost;

static bool is_delivering_here(const struct stele__queue *queue)
{
    for (const struct delivery *delivery = innermost; delivery; delivery = delivery->outer)
        if (delivery->queue == queue)
            return true;
    return false;
}

/* --- Lists ------------------------------------------------------------------------- */

/* An append without events is held too, and counts as one. */
static size_t events_of(const struct stele__queue_entry *entry)
{
    return entry->member.record_count ? entry->member.record_count : 1;
}

static void add(struct stele__queue_list *list, struct stele__queue_entry *entry)
{
    entry->next = NULL;
    if (list->last)
        list->last->next = entry;
    else
        list->first = entry;
    list->last = entry;
    list->count++;
    list->events += events_of(entry);
    list->bytes += entry->bytes;
}

static struct stele__queue_entry *take_first(struct stele__queue_list *list)
{
    struct stele__queue_entry *entry = list->first;

    list->first = entry->next;
    if (!list->first)
        list->last = NULL;
    list->count--;
    list->events -= events_of(entry);
    list->bytes -= entry->bytes;
    return entry;
}

static bool fits_group(size_t count, size_t events, size_t bytes)
{
    return count <= STELE__GROUP_MAX && events <= STELE_BATCH_EVENTS_MAX && bytes <= STELE_BATCH_BYTES_MAX;
}

/* --- Waking ------------------------------------------------------------------------- */

static void wake(struct stele__queue *queue, unsigned words)
{
    /* The heir first: the next commit waits for it alone. */
    static const enum stele__queue_word order[] = {STELE__WORD_HEIR,      STELE__WORD_EVEN, STELE__WORD_ODD,
                                                   STELE__WORD_COMMITTER, STELE__WORD_ROOM, STELE__WORD_FLUSH};

    for (size_t i = 0; words && i < sizeof(order) / sizeof(order[0]); i++)
        if (words & 1U << order[i])
            stele__futex_wake(&queue->words[order[i]]);
}

/* Under the mutex: the words to wake once it is given back, so that the committer looks for work. */
static unsigned kick(struct stele__queue *queue)
{
    if (queue->kicked)
        return 0;
    queue->kicked = true;
    return 1U << STELE__WORD_COMMITTER;
}

/* Under the mutex. */
static unsigned give_room(struct stele__queue *queue, size_t events, size_t bytes)
{
    queue->events -= events;
    queue->bytes -= bytes;
    return queue->room_asked != queue->room_given ? 1U << STELE__WORD_ROOM : 0;
}

/* Under the mutex, which is given back meanwhile. */
static void sleep_on(struct stele__queue *queue, enum stele__queue_word word)
{
    const uint32_t seen = stele__futex_read(&queue->words[word]);

    pthread_mutex_unlock(&queue->mutex);
    stele__futex_wait(&queue->words[word], seen);
    pthread_mutex_lock(&queue->mutex);
}

/* --- Coming in ------------------------------------------------------------------------- */

static bool has_room(const struct stele__queue *queue, const struct stele__queue_entry *entry)
{
    if (queue->events == 0)
        return true; /* what is larger than the queue goes alone */
    return queue->events + events_of(entry) <= queue->events_limit && queue->bytes + entry->bytes <= queue->bytes_limit;
}

/* Under the mutex: wait until there is room, in the order of coming. */
static void ask_for_room(struct stele__queue *queue, const struct stele__queue_entry *entry)
{
    const uint64_t ticket = queue->room_asked;

    if ((ticket == queue->room_given && has_room(queue, entry)) || is_delivering_here(queue))
        return;
    queue->room_asked++;
    while (ticket != queue->room_given || !has_room(queue, entry))
        sleep_on(queue, STELE__WORD_ROOM);
    queue->room_given++;
    if (queue->room_asked != queue->room_given)
        stele__futex_wake(&queue->words[STELE__WORD_ROOM]);
}

/* Under the mutex. */
static void come_in(struct stele__queue *queue, struct stele__queue_entry *entry)
{
    ask_for_room(queue, entry);
    queue->events += events_of(entry);
    queue->bytes += entry->bytes;
    atomic_init(&entry->state, ENTRY_WAITS);
    entry->word = queue->generation % 2 ? STELE__WORD_ODD : STELE__WORD_EVEN;
    if (queue->committing && !queue->heir && !entry->deliver) {
        queue->heir = entry;
        entry->word = STELE__WORD_HEIR;
    }
    add(&queue->waiting, entry);
    atomic_store_explicit(&queue->arrived, queue->waiting.count, memory_order_relaxed);
}

/* --- Leading ------------------------------------------------------------------------- */

/* Wait until as many are here as were about at the last commit, but not for long. */
static void dally(struct stele__queue *queue)
{
    const size_t about = atomic_load_explicit(&queue->about, memory_order_relaxed);
    const size_t wanted = about < STELE__GROUP_MAX ? about : STELE__GROUP_MAX;
    const struct stele_clock *clock = stele_clock_system();
    int64_t end;

    if (wanted <= 1 || atomic_load_explicit(&queue->arrived, memory_order_relaxed) >= wanted)
        return;
    end = clock->monotonic(clock->context) + DALLY_NS;
    /* Yielding, not spinning: those we wait for may have been woken on this very processor. */
    do
        sched_yield();
    while (atomic_load_explicit(&queue->arrived, memory_order_relaxed) < wanted &&
           clock->monotonic(clock->context) < end);
}

/* Under the mutex: the longest beginning of `waiting` that fits a group. */
static void take_list(struct stele__queue *queue, struct stele__queue_list *out)
{
    struct stele__queue_list *waiting = &queue->waiting;

    *out = (struct stele__queue_list){0};
    if (fits_group(waiting->count, waiting->events, waiting->bytes)) {
        *out = *waiting;
        *waiting = (struct stele__queue_list){0};
        queue->heir = NULL;
        return;
    }
    do {
        struct stele__queue_entry *entry = take_first(waiting);

        if (entry == queue->heir)
            queue->heir = NULL;
        add(out, entry);
    } while (waiting->first &&
             fits_group(out->count + 1, out->events + events_of(waiting->first), out->bytes + waiting->first->bytes));
}

static struct group take_group(struct stele__queue *queue, const struct stele__queue_entry *own)
{
    struct group group = {.has_own = false};

    dally(queue);
    pthread_mutex_lock(&queue->mutex);
    take_list(queue, &group.list);
    queue->committing = true;
    queue->generation++;
    atomic_store_explicit(&queue->arrived, queue->waiting.count, memory_order_relaxed);
    pthread_mutex_unlock(&queue->mutex);
    for (const struct stele__queue_entry *entry = group.list.first; entry; entry = entry->next) {
        if (entry == own)
            group.has_own = true;
        else if (!entry->deliver)
            group.words |= 1U << entry->word;
    }
    return group;
}

static uintptr_t this_thread(void)
{
    static _Thread_local char own;

    return (uintptr_t)&own;
}

void stele__queue_enter(struct stele__queue *queue)
{
    pthread_mutex_lock(&queue->gate);
    atomic_store_explicit(&queue->inside, this_thread(), memory_order_relaxed);
}

bool stele__queue_try_enter(struct stele__queue *queue)
{
    if (atomic_load_explicit(&queue->arrived, memory_order_relaxed) != 0 || pthread_mutex_trylock(&queue->gate) != 0)
        return false;
    atomic_store_explicit(&queue->inside, this_thread(), memory_order_relaxed);
    return true;
}

void stele__queue_leave(struct stele__queue *queue)
{
    atomic_store_explicit(&queue->inside, 0, memory_order_relaxed);
    pthread_mutex_unlock(&queue->gate);
}

bool stele__queue_is_inside(const struct stele__queue *queue)
{
    return atomic_load_explicit(&queue->inside, memory_order_relaxed) == this_thread();
}

void stele__queue_wrote(struct stele__queue *queue)
{
    if (queue->idle)
        stele__idle_note(queue->idle);
}

static void append(struct stele__queue *queue, struct stele_append_member *members, size_t count)
{
    stele__queue_enter(queue);
    queue->ops->append(queue->backend, members, count);
    stele__queue_wrote(queue);
    stele__queue_leave(queue);
}

static void write_group(struct stele__queue *queue, const struct group *group)
{
    size_t i = 0;

    if (group->list.count == 1) {
        append(queue, &group->list.first->member, 1);
        return;
    }
    for (const struct stele__queue_entry *entry = group->list.first; entry; entry = entry->next)
        queue->members[i++] = entry->member;
    append(queue, queue->members, group->list.count);
    i = 0;
    for (struct stele__queue_entry *entry = group->list.first; entry; entry = entry->next)
        entry->member = queue->members[i++];
}

/* Write a group, and add it to what is told of, if anybody is told. */
static void commit(struct stele__queue *queue, const struct group *group, struct stele_hook_commit *told)
{
    const struct stele_clock *clock = stele_clock_system();
    int64_t start;

    if (!queue->hooks) {
        write_group(queue, group);
        return;
    }
    start = clock->monotonic(clock->context);
    write_group(queue, group);
    told->nanoseconds += clock->monotonic(clock->context) - start;
    told->groups++;
    told->appends += group->list.count;
    told->bytes += group->list.bytes;
    for (const struct stele__queue_entry *entry = group->list.first; entry; entry = entry->next)
        told->events += entry->member.record_count;
}

/* The last position that a group has written; 0: none, or nobody wants to know. */
static uint64_t head_of(const struct stele__queue *queue, const struct group *group)
{
    uint64_t head = 0;

    if (!stele__listeners_any(queue->listeners))
        return 0;
    for (const struct stele__queue_entry *entry = group->list.first; entry; entry = entry->next) {
        const struct stele_append_member *member = &entry->member;

        if (member->status == STELE_OK && member->record_count && member->result.last_position > head)
            head = member->result.last_position;
    }
    return head;
}

static void add_up(struct stele_hook_commit *sum, const struct stele_hook_commit *more)
{
    sum->groups += more->groups;
    sum->appends += more->appends;
    sum->events += more->events;
    sum->bytes += more->bytes;
    sum->nanoseconds += more->nanoseconds;
}

/*
 * When somebody else leads: a hook that waits for an append of its own would
 * wait for this leader. What is committed inside a hook is told with the next
 * commit outside of one.
 */
static void tell_of_commit(struct stele__queue *queue, struct stele_hook_commit *told)
{
    const struct delivery here = {queue, innermost};
    const struct stele_hooks *hooks = stele__hooks_here(queue->hooks);

    if (!queue->hooks)
        return;
    pthread_mutex_lock(&queue->mutex);
    add_up(&queue->untold, told);
    *told = queue->untold;
    told->queued = queue->waiting.count;
    if (hooks)
        queue->untold = (struct stele_hook_commit){0};
    pthread_mutex_unlock(&queue->mutex);
    if (!hooks || told->groups == 0)
        return;
    innermost = &here;
    stele__hook_commit(hooks, told);
    innermost = here.outer;
}

/*
 * Under the mutex: who leads when this leader goes? An entry whose thread
 * sleeps, or nobody: then the committer comes to look, if something waits.
 */
static unsigned hand_over(struct stele__queue *queue)
{
    struct stele__queue_entry *next = queue->heir;

    queue->heir = NULL;
    for (struct stele__queue_entry *entry = queue->waiting.first; entry && !next; entry = entry->next)
        if (!entry->deliver)
            next = entry;
    queue->leading = next != NULL;
    if (!next)
        return queue->waiting.first ? kick(queue) : 0;
    atomic_store_explicit(&next->state, ENTRY_LEADS, memory_order_release);
    return 1U << next->word;
}

/* Parts of a group: those whose threads wait, and those to be delivered. */
static void part(const struct stele__queue_list *list, struct stele__queue_list *threads,
                 struct stele__queue_list *deliveries)
{
    struct stele__queue_entry *next = NULL;

    *threads = *deliveries = (struct stele__queue_list){0};
    for (struct stele__queue_entry *entry = list->first; entry; entry = next) {
        next = entry->next;
        add(entry->deliver ? deliveries : threads, entry);
    }
}

static void join(struct stele__queue_list *list, const struct stele__queue_list *more)
{
    if (!more->first)
        return;
    if (list->last)
        list->last->next = more->first;
    else
        list->first = more->first;
    list->last = more->last;
    list->count += more->count;
    list->events += more->events;
    list->bytes += more->bytes;
}

/* After a commit: hand over unless the leader stays, and let everyone of the group go. Is there something to deliver? */
static bool finish(struct stele__queue *queue, struct group *group, const struct stele__queue_entry *own, bool stays)
{
    struct stele__queue_list threads, deliveries;
    struct stele__queue_entry *next = NULL;
    unsigned words = group->words;
    bool delivers;

    part(&group->list, &threads, &deliveries);
    pthread_mutex_lock(&queue->mutex);
    join(&queue->finished, &deliveries);
    words |= give_room(queue, threads.events, threads.bytes);
    atomic_store_explicit(&queue->about, group->list.count + queue->waiting.count, memory_order_relaxed);
    queue->committing = false;
    if (!stays)
        words |= hand_over(queue);
    delivers = queue->finished.first && !queue->delivering;
    pthread_mutex_unlock(&queue->mutex);
    /* An entry is gone as soon as its state says so. */
    for (struct stele__queue_entry *entry = threads.first; entry; entry = next) {
        next = entry->next;
        if (entry != own)
            atomic_store_explicit(&entry->state, ENTRY_DONE, memory_order_release);
    }
    wake(queue, words);
    return delivers;
}

/* Lead until the own entry is done; without one, for one group. Is there something to deliver? */
static bool lead(struct stele__queue *queue, const struct stele__queue_entry *own)
{
    struct stele_hook_commit told = {0};
    struct group group;
    uint64_t head;
    bool stays, delivers;

    do {
        group = take_group(queue, own);
        commit(queue, &group, &told);
        head = head_of(queue, &group);
        stays = own && !group.has_own;
        delivers = finish(queue, &group, own, stays);
        if (head)
            stele__listeners_tell(queue->listeners, head);
    } while (stays);
    tell_of_commit(queue, &told);
    return delivers;
}

/* --- Delivering ------------------------------------------------------------------------- */

static void deliver_list(const struct stele__queue *queue, const struct stele__queue_list *list)
{
    const struct delivery here = {queue, innermost};
    struct stele__queue_entry *next = NULL;

    innermost = &here;
    for (struct stele__queue_entry *entry = list->first; entry; entry = next) {
        next = entry->next;
        entry->deliver(entry);
    }
    innermost = here.outer;
}

/*
 * Deliver what is finished by now, unless a thread is about it already: then
 * that one sees to it, or the committer after it. So deliveries are in order
 * and one at a time, and nobody but the committer is kept at it.
 */
static void deliver(struct stele__queue *queue)
{
    struct stele__queue_list list;
    unsigned words = 0;

    pthread_mutex_lock(&queue->mutex);
    if (queue->finished.first && !queue->delivering) {
        list = queue->finished;
        queue->finished = (struct stele__queue_list){0};
        queue->delivering = true;
        pthread_mutex_unlock(&queue->mutex);
        deliver_list(queue, &list);
        pthread_mutex_lock(&queue->mutex);
        queue->delivering = false;
        queue->delivered += list.count;
        words = give_room(queue, list.events, list.bytes);
        if (queue->flushing)
            words |= 1U << STELE__WORD_FLUSH;
        if (queue->finished.first)
            words |= kick(queue);
    }
    pthread_mutex_unlock(&queue->mutex);
    wake(queue, words);
}

/* --- The committer ------------------------------------------------------------------------- */

enum duty { DUTY_LEAD, DUTY_DELIVER, DUTY_REST, DUTY_STOP };

/* Under the mutex: what is there to do? Says that somebody leads if it is this thread. */
static enum duty next_duty(struct stele__queue *queue)
{
    queue->kicked = false;
    if (queue->finished.first && !queue->delivering)
        return DUTY_DELIVER;
    if (queue->waiting.first && !queue->leading) {
        queue->leading = true;
        return DUTY_LEAD;
    }
    return queue->stopping ? DUTY_STOP : DUTY_REST;
}

static void *run_committer(void *context)
{
    struct stele__queue *queue = context;
    enum duty duty;

    pthread_mutex_lock(&queue->mutex);
    while ((duty = next_duty(queue)) != DUTY_STOP) {
        if (duty == DUTY_REST) {
            sleep_on(queue, STELE__WORD_COMMITTER);
            continue;
        }
        pthread_mutex_unlock(&queue->mutex);
        if (duty == DUTY_LEAD)
            lead(queue, NULL);
        else
            deliver(queue);
        pthread_mutex_lock(&queue->mutex);
    }
    pthread_mutex_unlock(&queue->mutex);
    return NULL;
}

/* Under the mutex. */
static stele_status start(struct stele__queue *queue, stele_error **error)
{
    int code;

    if (queue->started)
        return STELE_OK;
    code = stele__thread_start(&queue->committer, run_committer, queue);
    if (code != 0)
        return stele__fail(error, STELE_NO_MEMORY, "no thread can be started: %s", strerror(code));
    queue->started = true;
    return STELE_OK;
}

static void stop(struct stele__queue *queue)
{
    unsigned words;

    pthread_mutex_lock(&queue->mutex);
    queue->stopping = true;
    words = kick(queue);
    pthread_mutex_unlock(&queue->mutex);
    wake(queue, words);
    pthread_join(queue->committer, NULL);
}

/* --- The queue ------------------------------------------------------------------------- */

static enum entry_state await(struct stele__queue *queue, struct stele__queue_entry *entry)
{
    struct stele__futex *futex = &queue->words[entry->word];

    for (;;) {
        const uint32_t seen = stele__futex_read(futex);
        const int state = atomic_load_explicit(&entry->state, memory_order_acquire);

        if (state != ENTRY_WAITS)
            return (enum entry_state)state;
        stele__futex_wait(futex, seen);
    }
}

void stele__queue_append(struct stele__queue *queue, struct stele__queue_entry *entry)
{
    bool leads;

    entry->deliver = NULL;
    pthread_mutex_lock(&queue->mutex);
    come_in(queue, entry);
    leads = !queue->leading;
    queue->leading = true;
    pthread_mutex_unlock(&queue->mutex);
    if (!leads && await(queue, entry) == ENTRY_DONE)
        return;
    if (lead(queue, entry))
        deliver(queue);
}

stele_status stele__queue_push(struct stele__queue *queue, struct stele__queue_entry *entry, stele_error **error)
{
    unsigned words = 0;
    stele_status status;

    pthread_mutex_lock(&queue->mutex);
    status = start(queue, error);
    if (status == STELE_OK) {
        come_in(queue, entry);
        queue->pushed++;
        if (!queue->leading)
            words = kick(queue);
    }
    pthread_mutex_unlock(&queue->mutex);
    wake(queue, words);
    return status;
}

stele_status stele__queue_flush(struct stele__queue *queue, stele_error **error)
{
    uint64_t pushed;

    if (is_delivering_here(queue))
        return stele__fail(error, STELE_INVALID, "a flush inside a done function would wait for that function");
    pthread_mutex_lock(&queue->mutex);
    pushed = queue->pushed;
    queue->flushing++;
    while (queue->delivered < pushed)
        sleep_on(queue, STELE__WORD_FLUSH);
    queue->flushing--;
    pthread_mutex_unlock(&queue->mutex);
    return STELE_OK;
}

stele_status stele__queue_init(struct stele__queue *queue, const struct stele_store_ops *ops,
                               struct stele_backend *backend, size_t events_limit, size_t bytes_limit,
                               stele_error **error)
{
    size_t made = 0;

    memset(queue, 0, sizeof(*queue));
    queue->ops = ops;
    queue->backend = backend;
    queue->events_limit = events_limit ? events_limit : STELE__QUEUE_EVENTS;
    queue->bytes_limit = bytes_limit ? bytes_limit : STELE__QUEUE_BYTES;
    while (made < STELE__WORD_COUNT && stele__futex_init(&queue->words[made]))
        made++;
    if (made == STELE__WORD_COUNT && pthread_mutex_init(&queue->gate, NULL) == 0) {
        if (pthread_mutex_init(&queue->mutex, NULL) == 0)
            return STELE_OK;
        pthread_mutex_destroy(&queue->gate);
    }
    while (made > 0)
        stele__futex_fini(&queue->words[--made]);
    return stele__fail_memory(error);
}

void stele__queue_fini(struct stele__queue *queue)
{
    struct stele_hook_commit nothing = {0};

    tell_of_commit(queue, &nothing);
    if (queue->started)
        stop(queue);
    for (size_t i = 0; i < STELE__WORD_COUNT; i++)
        stele__futex_fini(&queue->words[i]);
    pthread_mutex_destroy(&queue->mutex);
    pthread_mutex_destroy(&queue->gate);
}
