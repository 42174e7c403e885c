/*
 * Mailboxes: letters in a list, and a task that is ready while there are any.
 *
 *     send -> the list -> ready, unless it is already -> a worker -> deliver, one after the other
 *
 * `scheduled` is true from the letter that finds it false until a worker that
 * looks finds nothing to deliver: so the mailbox is in the queue, or with one
 * worker, or neither, and never two deliver at once. A worker delivers several letters
 * before it lets others have their turn, unless something more urgent is ready.
 *
 * What can fail: making the mutex.
 */
#include "runtime/state.h"

#include <string.h>

bool stele__mailbox_init(struct stele__mailbox *mailbox, stele_runtime *runtime, const char *name, int priority,
                         size_t capacity, void (*deliver)(struct stele__mailbox *, struct stele__letter *))
{
    memset(mailbox, 0, sizeof(*mailbox));
    mailbox->task.name = name;
    mailbox->task.priority = priority;
    mailbox->runtime = runtime;
    mailbox->deliver = deliver;
    mailbox->capacity = capacity;
    return pthread_mutex_init(&mailbox->mutex, NULL) == 0;
}

void stele__mailbox_fini(struct stele__mailbox *mailbox)
{
    pthread_mutex_destroy(&mailbox->mutex);
}

/* --- Under the mutex ----------------------------------------------------------------------- */

static void add(struct stele__mailbox *mailbox, struct stele__letter *letter)
{
    letter->next = NULL;
    if (mailbox->last)
        mailbox->last->next = letter;
    else
        mailbox->first = letter;
    mailbox->last = letter;
    mailbox->count++;
    if (mailbox->count > mailbox->peak)
        mailbox->peak = mailbox->count;
}

static struct stele__letter *take_first(struct stele__mailbox *mailbox)
{
    struct stele__letter *letter = mailbox->first;

    mailbox->first = letter->next;
    if (!mailbox->first)
        mailbox->last = NULL;
    mailbox->count--;
    letter->next = NULL;
    return letter;
}

static bool has_something(const struct stele__mailbox *mailbox)
{
    return mailbox->first && !mailbox->paused;
}

static bool is_full(const struct stele__mailbox *mailbox)
{
    return mailbox->capacity && mailbox->count >= mailbox->capacity;
}

/* True if it has to be made ready now, by the caller, after unlocking. */
static bool schedule(struct stele__mailbox *mailbox)
{
    const bool is_due = has_something(mailbox) && !mailbox->scheduled;

    mailbox->scheduled = mailbox->scheduled || is_due;
    return is_due;
}

/* --- Without it ---------------------------------------------------------------------------- */

/* No worker has it any more; the mailbox may be gone after. Unlocks. */
static void come_to_rest(struct stele__mailbox *mailbox)
{
    void (*const gone)(struct stele__mailbox *) = mailbox->gone;

    mailbox->scheduled = false;
    pthread_mutex_unlock(&mailbox->mutex);
    if (gone)
        gone(mailbox);
}

void stele__mailbox_unschedule(struct stele__mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->mutex);
    come_to_rest(mailbox);
}

/* The mailbox may be gone when this returns: whoever runs it may have freed it. */
static void make_ready(struct stele__mailbox *mailbox)
{
    if (!stele__runtime_add(mailbox->runtime, &mailbox->task))
        stele__mailbox_unschedule(mailbox);
}

static enum stele__mail send(struct stele__mailbox *mailbox, struct stele__letter *letter, bool beyond,
                             struct stele__letter **dropped)
{
    enum stele__mail mail = STELE__MAIL_TAKEN;
    bool is_due = false;

    pthread_mutex_lock(&mailbox->mutex);
    if (mailbox->closed) {
        mail = STELE__MAIL_CLOSED;
    } else if (is_full(mailbox) && !beyond) {
        mail = STELE__MAIL_FULL;
    } else {
        if (is_full(mailbox) && dropped)
            *dropped = take_first(mailbox);
        add(mailbox, letter);
        is_due = schedule(mailbox);
    }
    pthread_mutex_unlock(&mailbox->mutex);
    if (is_due)
        make_ready(mailbox);
    return mail;
}

enum stele__mail stele__mailbox_send(struct stele__mailbox *mailbox, struct stele__letter *letter)
{
    return send(mailbox, letter, false, NULL);
}

enum stele__mail stele__mailbox_send_dropping(struct stele__mailbox *mailbox, struct stele__letter *letter,
                                              struct stele__letter **dropped)
{
    *dropped = NULL;
    return send(mailbox, letter, true, dropped);
}

enum stele__mail stele__mailbox_force(struct stele__mailbox *mailbox, struct stele__letter *letter)
{
    return send(mailbox, letter, true, NULL);
}

void stele__mailbox_pause(struct stele__mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->mutex);
    mailbox->paused = true;
    pthread_mutex_unlock(&mailbox->mutex);
}

void stele__mailbox_resume(struct stele__mailbox *mailbox)
{
    bool is_due;

    pthread_mutex_lock(&mailbox->mutex);
    mailbox->paused = false;
    is_due = schedule(mailbox);
    pthread_mutex_unlock(&mailbox->mutex);
    if (is_due)
        make_ready(mailbox);
}

struct stele__letter *stele__mailbox_close(struct stele__mailbox *mailbox)
{
    struct stele__letter *letters;

    pthread_mutex_lock(&mailbox->mutex);
    mailbox->closed = true;
    letters = mailbox->first;
    mailbox->first = mailbox->last = NULL;
    mailbox->count = 0;
    pthread_mutex_unlock(&mailbox->mutex);
    return letters;
}

bool stele__mailbox_retire(struct stele__mailbox *mailbox, void (*gone)(struct stele__mailbox *mailbox))
{
    bool is_idle;

    pthread_mutex_lock(&mailbox->mutex);
    is_idle = !mailbox->scheduled;
    if (!is_idle)
        mailbox->gone = gone;
    pthread_mutex_unlock(&mailbox->mutex);
    return is_idle;
}

size_t stele__mailbox_count(struct stele__mailbox *mailbox)
{
    size_t count;

    pthread_mutex_lock(&mailbox->mutex);
    count = mailbox->count;
    pthread_mutex_unlock(&mailbox->mutex);
    return count;
}

bool stele__mailbox_is_idle(struct stele__mailbox *mailbox)
{
    bool is_idle;

    pthread_mutex_lock(&mailbox->mutex);
    is_idle = mailbox->count == 0 && !mailbox->scheduled;
    pthread_mutex_unlock(&mailbox->mutex);
    return is_idle;
}

/* --- Delivering ---------------------------------------------------------------------------- */

/* The next letter; NULL: there is none, and the mailbox may be gone. */
static struct stele__letter *take(struct stele__mailbox *mailbox)
{
    struct stele__letter *letter;

    pthread_mutex_lock(&mailbox->mutex);
    if (!has_something(mailbox)) {
        come_to_rest(mailbox);
        return NULL;
    }
    letter = take_first(mailbox);
    pthread_mutex_unlock(&mailbox->mutex);
    return letter;
}

static void put_back(struct stele__mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->mutex);
    if (!has_something(mailbox)) {
        come_to_rest(mailbox);
        return;
    }
    pthread_mutex_unlock(&mailbox->mutex);
    make_ready(mailbox);
}

static bool is_outranked(const struct stele__mailbox *mailbox, stele_runtime *runtime)
{
    return atomic_load_explicit(&runtime->ready.count, memory_order_relaxed) > 0 &&
           atomic_load_explicit(&runtime->ready.best, memory_order_relaxed) < mailbox->task.priority;
}

size_t stele__mailbox_deliver(struct stele__mailbox *mailbox, size_t most)
{
    stele_runtime *runtime = mailbox->runtime;
    struct stele__letter *letter;
    size_t delivered = 0;

    while ((letter = take(mailbox))) {
        stele__simulation_trace(runtime, "message", mailbox->task.name);
        mailbox->deliver(mailbox, letter);
        if (++delivered == most || is_outranked(mailbox, runtime)) {
            put_back(mailbox);
            break;
        }
    }
    return delivered;
}
