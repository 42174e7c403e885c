/* Aggregates over events of old shapes: loading, snapshots of another upcasting, events that are read as none. */
#include "tests/support/support.h"

#include <stele.h>

#include "aggregate/aggregate.h"
#include "message/upcast.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- The domain: a tally, whose additions were once called otherwise and worth something else -------- */

#define TALLY(FIELD, T) FIELD(T, INT64, total) FIELD(T, INT64, additions)
#define ADDED(FIELD, T) FIELD(T, INT64, amount)
#define SEEN(FIELD, T) FIELD(T, NONE, stele_unused)
#define ADD(FIELD, T) FIELD(T, INT64, amount)
STELE_DECLARE(tally, TALLY);
STELE_DECLARE(added, ADDED);
STELE_DECLARE(seen, SEEN);
STELE_DECLARE(other, SEEN);
STELE_DECLARE(add, ADD);
STELE_DECLARE(look, SEEN);
STELE_DEFINE_STATE(tally, "tally", 1, TALLY);
STELE_DEFINE_EVENT(added, "tally.added", 2, ADDED);
STELE_DEFINE_EVENT(seen, "tally.seen", 1, SEEN);
STELE_DEFINE_EVENT(other, "other", 1, SEEN);
STELE_DEFINE_COMMAND(add, "tally.add", 1, ADD);
STELE_DEFINE_COMMAND(look, "tally.look", 1, SEEN);

static void on_added(struct tally *tally, const struct added *event)
{
    tally->total += event->amount;
    tally->additions++;
}

static void on_seen(struct tally *tally, const struct seen *event)
{
    (void)tally;
    (void)event;
}

static stele_status decide_add(const struct tally *tally, const struct add *command, stele_decision *decision)
{
    (void)tally;
    return STELE_EMIT(decision, added, .amount = command->amount);
}

static stele_status decide_look(const struct tally *tally, const struct look *command, stele_decision *decision)
{
    const struct seen event = {0};

    (void)tally;
    (void)command;
    return stele_decision_emit(decision, &seen_type, &event);
}

#define TALLY_EVENTS(EVOLVE, A) EVOLVE(A, added, on_added) EVOLVE(A, seen, on_seen)
#define TALLY_COMMANDS(DECIDE, A) DECIDE(A, add, decide_add) DECIDE(A, look, decide_look)
STELE_DEFINE_AGGREGATE(tally, TALLY_EVENTS, TALLY_COMMANDS);

/* --- Upcasters ------------------------------------------------------------------------------------------- */

static stele_status forget(const struct seen *old, stele_upcast *upcast)
{
    (void)old;
    (void)upcast;
    return STELE_OK;
}
STELE_DEFINE_UPCAST(forget, seen)

static const struct stele_change renamed[] = {STELE_RENAME("n", "amount")};
static const struct stele_change always_100[] = {STELE_DROP("n"), STELE_SET("amount", "100")};

#define FROM_OLD(list) \
    { \
        .from = "tally.added", .from_version = 1, .to = "tally.added", .to_version = 2, .changes = (list), \
        .change_count = COUNT(list) \
    }
#define FORGET_SEEN \
    { \
        .from = "tally.seen", .from_version = 1, .to = "other", .to_version = 1, .up = forget_up, \
        .old_type = &seen_type, .new_type = &other_type \
    }

static const struct stele_upcaster plain[] = {FROM_OLD(renamed), FORGET_SEEN};
static const struct stele_upcaster changed[] = {FROM_OLD(always_100), FORGET_SEEN};
/* The same in another order, and one that is no concern of the tally's. */
static const struct stele_upcaster unrelated[] = {
    {.from = "a", .from_version = 1, .to = "b", .to_version = 1}, FORGET_SEEN, FROM_OLD(renamed)};

static stele_store *open_store(const char *url, const struct stele_upcaster *upcasters, size_t count)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = NULL;
    stele_error *error = NULL;

    options.upcasters = upcasters;
    options.upcaster_count = count;
    assert_ok(stele_store_open(url, &options, &store, &error), error);
    return store;
}

/* {"n": number} as tally.added 1, or an empty map as tally.seen 1. */
static void append_old(stele_store *store, const char *type, char number)
{
    const char bytes[] = {(char)0x81, (char)0xa1, 'n', number};
    const struct stele_raw_message raw = {.kind = STELE_EVENT,
                                          .type = type,
                                          .type_version = 1,
                                          .format = STELE_PAYLOAD_MSGPACK,
                                          .payload = {number ? bytes : "\x80", number ? sizeof(bytes) : 1}};
    stele_message *event = NULL;
    stele_error *error = NULL;

    assert_ok(stele_message_new_raw(&raw, NULL, &event, &error), error);
    assert_ok(stele_append(store, "tally-1", stele_expect_any(), event, NULL, &error), error);
    stele_message_unref(event);
}

static stele_repository *open_repository(stele_store *store, uint64_t snapshot_every)
{
    struct stele_repository_options options = STELE_OPTIONS_INIT(struct stele_repository_options);
    stele_repository *repository = NULL;
    stele_error *error = NULL;

    options.snapshot_every = snapshot_every;
    assert_ok(stele_repository_new(store, &tally_aggregate, &options, &repository, &error), error);
    return repository;
}

static void assert_tally(const stele_repository *repository, const struct stele_load_options *options, int64_t total,
                         uint64_t version)
{
    stele_instance *instance = NULL;
    stele_error *error = NULL;

    assert_ok(stele_load(repository, "tally-1", options, &instance, &error), error);
    assert_int_equal(STELE_STATE_OF(tally, instance)->total, total);
    assert_int_equal(stele_instance_version(instance), version);
    stele_instance_free(instance);
}

/* --- Loading ------------------------------------------------------------------------------------------------ */

static void E2_a_state_is_folded_from_new_shapes(void **state)
{
    stele_store *store = open_store("memory:", plain, COUNT(plain));
    stele_repository *repository = open_repository(store, 0);

    (void)state;
    append_old(store, "tally.added", 3);
    append_old(store, "tally.added", 4);
    assert_tally(repository, NULL, 7, 2);
    stele_repository_free(repository);
    stele_store_close(store);
}

/* Or the next command would be a conflict for ever. */
static void a_stream_whose_last_event_is_read_as_none_has_its_version(void **state)
{
    const struct stele_load_options second = {.size = sizeof(second), .version = 2};
    const struct add payload = {.amount = 5};
    stele_store *store = open_store("memory:", plain, COUNT(plain));
    stele_repository *repository = open_repository(store, 0);
    struct stele_appended result;
    stele_message *command = NULL;
    stele_error *error = NULL;

    (void)state;
    append_old(store, "tally.seen", 0);
    assert_tally(repository, NULL, 0, 1);
    append_old(store, "tally.seen", 0);
    append_old(store, "tally.added", 3);
    append_old(store, "tally.seen", 0);
    assert_tally(repository, NULL, 3, 4);
    assert_tally(repository, &second, 0, 2);
    assert_ok(add_message(&payload, NULL, &command, &error), error);
    assert_ok(stele_execute(repository, "tally-1", command, &result, &error), error);
    assert_int_equal(result.version, 5);
    assert_tally(repository, NULL, 8, 5);
    stele_message_unref(command);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void a_command_whose_event_is_read_as_none_is_recognised_when_it_comes_again(void **state)
{
    const struct look payload = {0};
    stele_store *store = open_store("memory:", plain, COUNT(plain));
    stele_repository *repository = open_repository(store, 0);
    struct stele_appended first;
    struct stele_appended again;
    stele_message *command = NULL;
    stele_error *error = NULL;

    (void)state;
    append_old(store, "tally.added", 3);
    assert_ok(look_message(&payload, NULL, &command, &error), error);
    assert_ok(stele_execute(repository, "tally-1", command, &first, &error), error);
    append_old(store, "tally.added", 4);
    assert_ok(stele_execute(repository, "tally-1", command, &again, &error), error);
    assert_true(again.repeated);
    assert_int_equal(again.version, first.version);
    assert_tally(repository, NULL, 7, 3);
    stele_message_unref(command);
    stele_repository_free(repository);
    stele_store_close(store);
}

/* --- Snapshots ------------------------------------------------------------------------------------------------ */

/* Load with these upcasters: the total, and whether a snapshot was used or discarded. */
static void assert_loads(const struct stele_upcaster *upcasters, size_t count, int64_t total, uint64_t used,
                         uint64_t discarded)
{
    stele_store *store = open_store(support_temp_path("tally.db"), upcasters, count);
    stele_repository *repository = open_repository(store, 1);
    struct stele_repository_stats stats;
    stele_error *error = NULL;

    assert_tally(repository, NULL, total, 2);
    assert_ok(stele_repository_stats(repository, &stats, &error), error);
    assert_int_equal(stats.snapshots_loaded, used);
    assert_int_equal(stats.discarded_shape, discarded);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void E3_a_snapshot_folded_through_other_upcasters_is_discarded(void **state)
{
    stele_store *store;

    (void)state;
    support_temp_dir();
    store = open_store(support_temp_path("tally.db"), plain, COUNT(plain));
    append_old(store, "tally.added", 3);
    append_old(store, "tally.added", 4);
    stele_store_close(store);
    assert_loads(plain, COUNT(plain), 7, 0, 0);
    assert_loads(plain, COUNT(plain), 7, 1, 0);
    assert_loads(unrelated, COUNT(unrelated), 7, 1, 0);
    assert_loads(changed, COUNT(changed), 200, 0, 1);
    assert_loads(changed, COUNT(changed), 200, 1, 0);
    assert_loads(plain, COUNT(plain), 7, 0, 1);
}

static void the_text_of_a_fingerprint_ends_with_the_steps(void **state)
{
    struct stele__upcasting *upcasting = NULL;
    struct stele__buffer text;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__upcasting_new(unrelated, COUNT(unrelated), STELE_PAYLOAD_DEFAULT, &upcasting, &error), error);
    stele__buffer_init(&text);
    assert_true(stele__fingerprint_text(&tally_aggregate, STELE_UNKNOWN_IS_ERROR, upcasting, &text));
    stele__buffer_add_byte(&text, '\0');
    assert_string_equal(text.data, "0 tally 1\n"
                                   "int64 total\n"
                                   "int64 additions\n"
                                   "upcast tally.added 1 -> tally.added 2 rename 1:n=amount\n"
                                   "upcast tally.seen 1 -> other 1\n");
    stele__buffer_fini(&text);
    stele__upcasting_free(upcasting);
}

static stele_status attempt(void *context, stele_error **error)
{
    stele_repository *repository = NULL;
    stele_instance *instance = NULL;
    stele_status status = stele_repository_new(context, &tally_aggregate, NULL, &repository, error);

    if (status == STELE_OK)
        status = stele_load(repository, "tally-1", NULL, &instance, error);
    stele_instance_free(instance);
    stele_repository_free(repository);
    return status;
}

static void loading_old_shapes_survives_every_failing_allocation(void **state)
{
    stele_store *store = open_store("memory:", plain, COUNT(plain));

    (void)state;
    append_old(store, "tally.added", 3);
    append_old(store, "tally.seen", 0);
    assert_true(support_every_allocation_fails(attempt, store) > 5);
    stele_store_close(store);
}

static stele_status attempt_open(void *context, stele_error **error)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = NULL;
    stele_status status;

    (void)context;
    options.upcasters = plain;
    options.upcaster_count = COUNT(plain);
    status = stele_store_open("memory:", &options, &store, error);
    stele_store_close(store);
    return status;
}

static void opening_with_upcasters_survives_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(support_every_allocation_fails(attempt_open, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(E2_a_state_is_folded_from_new_shapes),
        support_test(a_stream_whose_last_event_is_read_as_none_has_its_version),
        support_test(a_command_whose_event_is_read_as_none_is_recognised_when_it_comes_again),
        support_test(E3_a_snapshot_folded_through_other_upcasters_is_discarded),
        support_test(the_text_of_a_fingerprint_ends_with_the_steps),
        support_test(loading_old_shapes_survives_every_failing_allocation),
        support_test(opening_with_upcasters_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
