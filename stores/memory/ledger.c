/*
 * Entries of the ledger, one block each.
 *
 *     reserve: block, place in the map of ids, room in the order -> (events are written) -> add: nothing can fail
 *
 * New entries belong at the end of the order, unless the clock has stepped
 * back. What can fail: memory, while reserving.
 */
#include "memory/ledger.h"

#include "base/memory.h"

#include <string.h>

void memory__ledger_init(struct memory__ledger *ledger)
{
    memset(ledger, 0, sizeof(*ledger));
    stele__map_init(&ledger->texts);
    stele__map_init(&ledger->uuids);
    stele__vector_init(&ledger->order, sizeof(struct memory__command *));
}

static struct memory__command **order_of(const struct memory__ledger *ledger)
{
    return ledger->order.items;
}

void memory__ledger_fini(struct memory__ledger *ledger)
{
    for (size_t i = 0; i < ledger->order.count; i++)
        stele__free(order_of(ledger)[i], order_of(ledger)[i]->allocated);
    stele__vector_fini(&ledger->order);
    stele__map_fini(&ledger->texts);
    stele__map_fini(&ledger->uuids);
}

/* --- Finding ------------------------------------------------------------------------------ */

static struct stele_slice key_of(const struct stele_command_record *command)
{
    if (!command->id_is_uuid)
        return command->id;
    return (struct stele_slice){(const char *)command->uuid.bytes, sizeof(command->uuid.bytes)};
}

const struct stele_command_record *memory__ledger_find(const struct memory__ledger *ledger,
                                                       const struct stele_command_record *wanted)
{
    const struct memory__command *command =
        stele__map_get(wanted->id_is_uuid ? &ledger->uuids : &ledger->texts, key_of(wanted));

    return command ? &command->record : NULL;
}

/* --- Adding --------------------------------------------------------------------------------- */

static struct stele_slice place(char **at, struct stele_slice from)
{
    const struct stele_slice copy = {*at, from.size};

    if (!from.data)
        return from;
    memcpy(*at, from.data, from.size);
    (*at)[from.size] = '\0';
    *at += from.size + 1;
    return copy;
}

static struct memory__command *copy_command(const struct stele_command_record *record)
{
    const size_t size = sizeof(struct memory__command) + record->id.size + record->rejection.size + 2;
    struct memory__command *copy = stele__alloc(size);
    char *at = (char *)(copy + 1);

    if (!copy)
        return NULL;
    copy->record = *record;
    copy->record.id = place(&at, record->id);
    copy->record.rejection = place(&at, record->rejection);
    copy->allocated = size;
    return copy;
}

struct memory__command *memory__ledger_reserve(struct memory__ledger *ledger, const struct stele_command_record *record)
{
    struct stele__map *map = record->id_is_uuid ? &ledger->uuids : &ledger->texts;
    struct memory__command *command = copy_command(record);

    if (!command)
        return NULL;
    if (stele__vector_reserve(&ledger->order, ledger->order.count + 1) &&
        stele__map_put(map, key_of(&command->record), command))
        return command;
    stele__free(command, command->allocated);
    return NULL;
}

static void remove_command(struct memory__ledger *ledger, struct memory__command *command)
{
    stele__map_remove(command->record.id_is_uuid ? &ledger->uuids : &ledger->texts, key_of(&command->record));
    stele__free(command, command->allocated);
}

void memory__ledger_give_up(struct memory__ledger *ledger, struct memory__command *command)
{
    if (command)
        remove_command(ledger, command);
}

void memory__ledger_add(struct memory__ledger *ledger, struct memory__command *command,
                        const struct stele_appended *outcome)
{
    struct memory__command **last = stele__vector_add(&ledger->order);
    struct memory__command **first = order_of(ledger);

    command->record.outcome = *outcome;
    command->number = ++ledger->numbers;
    for (; last > first && last[-1]->record.time > command->record.time; last--)
        last[0] = last[-1];
    *last = command;
}

/* --- Forgetting ------------------------------------------------------------------------------- */

/* Entries of the order that are at or before a time. */
static size_t count_until(const struct memory__ledger *ledger, int64_t time)
{
    size_t low = 0;
    size_t high = ledger->order.count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (order_of(ledger)[middle]->record.time <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct stele_command_mark memory__ledger_mark(const struct memory__ledger *ledger,
                                              const struct stele_retention *retention)
{
    struct stele_command_mark mark = {.found = false};
    size_t count = ledger->order.count;
    size_t before;

    if (retention->has_keep)
        count = count > retention->keep ? count - retention->keep : 0;
    if (retention->has_before) {
        before = retention->before == INT64_MIN ? 0 : count_until(ledger, retention->before - 1);
        count = before < count ? before : count;
    }
    if (count == 0)
        return mark;
    mark.found = true;
    mark.time = order_of(ledger)[count - 1]->record.time;
    mark.number = order_of(ledger)[count - 1]->number;
    return mark;
}

uint64_t memory__ledger_forget(struct memory__ledger *ledger, const struct stele_command_mark *mark, uint64_t most)
{
    struct memory__command **order = order_of(ledger);
    size_t count = 0;

    while (count < ledger->order.count && count < most &&
           (order[count]->record.time < mark->time ||
            (order[count]->record.time == mark->time && order[count]->number <= mark->number)))
        remove_command(ledger, order[count++]);
    if (count) {
        memmove(order, order + count, (ledger->order.count - count) * sizeof(*order));
        stele__vector_truncate(&ledger->order, ledger->order.count - count);
    }
    return count;
}
