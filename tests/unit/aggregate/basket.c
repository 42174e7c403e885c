/* The basket (see basket.h). */
#include "tests/unit/aggregate/basket.h"

#include <string.h>

#include "store/store.h"

#define SECOND INT64_C(1000000000)

STELE_DEFINE_STRUCT(line, LINE);
STELE_DEFINE_STATE(basket, "test.basket", 1, BASKET);
STELE_DEFINE_EVENT(named, "test.basket.named", 1, NAMED);
STELE_DEFINE_EVENT(added, "test.basket.added", 1, ADDED);
STELE_DEFINE_EVENT(sealed, "test.basket.sealed", 1, SEALED);
STELE_DEFINE_EVENT(capped, "test.basket.capped", 1, CAPPED);
STELE_DEFINE_EVENT(dropped, "test.basket.dropped", 1, DROPPED);
STELE_DEFINE_COMMAND(add, "test.basket.add", 1, ADD);

static void on_named(struct basket *basket, const struct named *event)
{
    basket->owner = event->name;
    basket->touched = !basket->touched;
}

static void add_line(struct basket *basket, const struct added *event)
{
    const size_t count = basket->lines.count;
    struct line *lines = stele_arena_alloc(basket->memory, (count + 1) * sizeof *lines);
    if (lines == NULL)
        return;
    if (count > 0)
        memcpy(lines, basket->lines.items, count * sizeof *lines);
    lines[count] = (struct line){.amount = event->amount, .note = event->note};
    basket->lines.items = lines;
    basket->lines.count = count + 1;
    if (basket->dearest == NULL || basket->dearest->amount < event->amount)
        basket->dearest = &lines[count];
}

static void add_note(struct basket *basket, const char *note)
{
    const size_t count = basket->notes.count;
    const char **notes = stele_arena_alloc(basket->memory, (count + 1) * sizeof *notes);
    if (notes == NULL)
        return;
    if (count > 0)
        memcpy(notes, basket->notes.items, count * sizeof *notes);
    notes[count] = note;
    basket->notes.items = notes;
    basket->notes.count = count + 1;
}

static void on_added(struct basket *basket, const struct added *event)
{
    add_line(basket, event);
    if (event->note != NULL)
        add_note(basket, event->note);
    basket->total += event->amount;
    basket->mean = (double)basket->total / (double)basket->lines.count;
}

static void on_sealed(struct basket *basket, const struct sealed *event)
{
    basket->seal = event->seal;
    basket->ticket = event->ticket;
}

static void on_capped(struct basket *basket, const struct capped *event)
{
    basket->ceiling = event->ceiling;
}

static stele_status decide_add(const struct basket *basket, const struct add *command, stele_decision *decision)
{
    if (basket->ceiling.present && basket->total + command->amount * command->parts > basket->ceiling.value)
        return stele_decision_reject(decision, "beyond the ceiling");
    for (int64_t i = 0; i < command->parts; i++) {
        const stele_status status = STELE_EMIT(decision, added, .amount = command->amount);
        if (status != STELE_OK)
            return status;
    }
    return STELE_OK;
}

#define BASKET_EVENTS(EVOLVE, A) \
    EVOLVE(A, named, on_named) \
    EVOLVE(A, added, on_added) EVOLVE(A, sealed, on_sealed) EVOLVE(A, capped, on_capped)
#define BASKET_COMMANDS(DECIDE, A) DECIDE(A, add, decide_add)
STELE_DEFINE_AGGREGATE(basket, BASKET_EVENTS, BASKET_COMMANDS);

static const struct stele_type new_basket_type = {.name = "test.basket",
                                                  .version = 2,
                                                  .kind = STELE_STATE,
                                                  .size = sizeof(struct basket),
                                                  .fields = basket_fields,
                                                  .field_count = sizeof basket_fields / sizeof basket_fields[0]};
const struct stele_aggregate new_basket_aggregate = {
    .state = &new_basket_type,
    .evolutions = basket_evolutions,
    .evolution_count = sizeof basket_evolutions / sizeof basket_evolutions[0],
    .deciders = basket_deciders,
    .decider_count = sizeof basket_deciders / sizeof basket_deciders[0],
};

stele_repository *basket_repository(stele_store *store, const struct basket_options *options)
{
    struct stele_repository_options given = STELE_OPTIONS_INIT(struct stele_repository_options);
    const struct stele_aggregate *aggregate = &basket_aggregate;
    stele_repository *repository = NULL;
    stele_error *error = NULL;
    if (options != NULL) {
        given.unknown = options->unknown;
        given.snapshot_every = options->snapshot_every;
        given.cache_bytes = options->cache_bytes;
        given.remember_commands = options->remember_commands;
        given.clock = options->clock;
        aggregate = options->aggregate != NULL ? options->aggregate : aggregate;
    }
    assert_ok(stele_repository_new(store, aggregate, &given, &repository, &error), error);
    return repository;
}

void basket_append(stele_store *store, const char *stream, const struct stele_type *type, const void *payload,
                   int64_t time)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *event = NULL;
    stele_error *error = NULL;
    options.has_time = true;
    options.time = time;
    assert_ok(stele_message_new(type, payload, &options, &event, &error), error);
    assert_ok(stele_append(store, stream, stele_expect_any(), event, NULL, &error), error);
    stele_message_unref(event);
}

static uint64_t version_of(stele_store *store, const char *stream)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    query.stream = stream;
    query.limit = 1;
    assert_ok(stele_read(store, &query, &cursor, &error), error);
    const uint64_t version = stele_cursor_head(cursor).version;
    stele_cursor_close(cursor);
    return version;
}

void basket_fill(stele_store *store, const char *stream, uint64_t count)
{
    const uint64_t begin = version_of(store, stream);
    for (uint64_t i = begin + 1; i <= begin + count; i++)
        basket_append(store, stream, &added_type, &(const struct added){.amount = (int64_t)i}, (int64_t)i * SECOND);
}

stele_message *add_command(int64_t amount, int64_t parts)
{
    stele_message *message = NULL;
    stele_error *error = NULL;
    assert_ok(add_message(&(const struct add){.amount = amount, .parts = parts}, NULL, &message, &error), error);
    return message;
}

const struct basket *basket_of(const stele_instance *instance)
{
    const void *state = stele_instance_state(instance, &basket_aggregate);
    return state != NULL ? state : stele_instance_state(instance, &new_basket_aggregate);
}

void assert_total(stele_repository *repository, const char *stream, uint64_t version, int64_t total)
{
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    assert_ok(stele_load(repository, stream, NULL, &instance, &error), error);
    assert_int_equal(version, stele_instance_version(instance));
    assert_int_equal(total, basket_of(instance)->total);
    stele_instance_free(instance);
}

struct stele_repository_stats basket_stats(const stele_repository *repository)
{
    struct stele_repository_stats stats = {0};
    stele_error *error = NULL;
    assert_ok(stele_repository_stats(repository, &stats, &error), error);
    return stats;
}

void basket_drain(stele_store *store)
{
    stele__later_drain(&store->later);
}
