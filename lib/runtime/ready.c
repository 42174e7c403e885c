/*
 * What is ready: lists of equal priority, first in, first out.
 *
 *     first -> a(10) --worse--> d(100) --worse--> e(500)
 *              |next
 *              b(10)
 *              |next
 *              c(10) <- a's last
 *
 * Adding walks past the better priorities, of which there are few at a time;
 * taking is a matter of the first list. In a simulation the choice is among the first
 * STELE__CHOICE of it. Nothing can fail.
 */
#include "base/random.h"
#include "runtime/state.h"

static void note_change(struct stele__ready *ready, size_t count)
{
    atomic_store_explicit(&ready->best, ready->first ? ready->first->priority : 0, memory_order_relaxed);
    atomic_store_explicit(&ready->count, count, memory_order_release);
}

static size_t count_of(const struct stele__ready *ready)
{
    return atomic_load_explicit(&ready->count, memory_order_relaxed);
}

void stele__ready_push(struct stele__ready *ready, struct stele__task *task)
{
    struct stele__task **place = &ready->first;

    while (*place && (*place)->priority < task->priority)
        place = &(*place)->worse;
    task->next = NULL;
    if (*place && (*place)->priority == task->priority) {
        (*place)->last->next = task;
        (*place)->last = task;
    } else {
        task->last = task;
        task->worse = *place;
        *place = task;
    }
    note_change(ready, count_of(ready) + 1);
}

static struct stele__task *take_first(struct stele__ready *ready)
{
    struct stele__task *task = ready->first;
    struct stele__task *next = task->next;

    if (next) {
        next->last = task->last;
        next->worse = task->worse;
    }
    ready->first = next ? next : task->worse;
    return task;
}

static struct stele__task *take_after(struct stele__ready *ready, struct stele__task *previous)
{
    struct stele__task *task = previous->next;

    previous->next = task->next;
    if (ready->first->last == task)
        ready->first->last = previous;
    return task;
}

static struct stele__task *take_any(struct stele__ready *ready, uint64_t *seed)
{
    struct stele__task *previous = ready->first;
    uint64_t choices = 0;
    uint64_t chosen;

    for (const struct stele__task *task = ready->first; task && choices < STELE__CHOICE; task = task->next)
        choices++;
    chosen = choices > 1 ? stele__random_below(seed, choices) : 0;
    if (chosen == 0)
        return take_first(ready);
    while (--chosen)
        previous = previous->next;
    return take_after(ready, previous);
}

struct stele__task *stele__ready_pop(struct stele__ready *ready, uint64_t *seed)
{
    struct stele__task *task;

    if (!ready->first)
        return NULL;
    task = seed ? take_any(ready, seed) : take_first(ready);
    note_change(ready, count_of(ready) - 1);
    return task;
}
