/* Snapshots: when they are written, when they are used, and that it makes no difference to the state. */
#include "tests/unit/aggregate/basket.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "aggregate/aggregate.h"
#include "base/error.h"
#include "store/store.h"

#define SECOND INT64_C(1000000000)

static stele_store *open_store(const char *url)
{
    stele_store *store = NULL;
    stele_error *error = NULL;
    assert_ok(stele_store_open(url, NULL, &store, &error), error);
    return store;
}

/* The sum of 1 to n. */
static int64_t sum_to(int64_t n)
{
    return n * (n + 1) / 2;
}

static stele_repository *every(stele_store *store, uint64_t events)
{
    return basket_repository(store, &(const struct basket_options){.snapshot_every = events});
}

/* What the store keeps of a stream. */
struct stored {
    bool found;
    uint64_t version;
    int64_t time;
    uint8_t fingerprint[16];
    size_t bytes;
};

static bool note_stored(void *context, const struct stele_snapshot *snapshot)
{
    struct stored *stored = context;
    stored->found = true;
    stored->version = snapshot->version;
    stored->time = snapshot->time;
    memcpy(stored->fingerprint, snapshot->fingerprint, 16);
    stored->bytes = snapshot->state.size;
    return false;
}

static struct stored stored_of(stele_store *store, const char *stream)
{
    struct stored stored = {0};
    stele_error *error = NULL;
    bool damaged = true;
    basket_drain(store);
    assert_ok(stele__store_load_snapshot(store, support_slice(stream), note_stored, &stored, &damaged, &error), error);
    assert_false(damaged);
    return stored;
}

/* Put bytes in place of a stream's snapshot. */
static void forge(stele_store *store, const char *stream, uint64_t version, const uint8_t fingerprint[16],
                  struct stele_slice state)
{
    struct stele_snapshot snapshot = {.stream = support_slice(stream), .version = version, .state = state, .time = 1};
    stele_error *error = NULL;
    memcpy(snapshot.fingerprint, fingerprint, 16);
    basket_drain(store);
    assert_ok(stele__store_drop_snapshot(store, support_slice(stream), &error), error);
    assert_ok(stele__store_save_snapshot(store, &snapshot, &error), error);
}

/* --- When ----------------------------------------------------------------------- */

static void ORX21_50_events_are_folded_behind_a_snapshot_at_950_of_1000(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = every(store, 950);
    basket_fill(store, "basket-1", 950);
    assert_total(repository, "basket-1", 950, sum_to(950));
    assert_int_equal(950, stored_of(store, "basket-1").version);
    basket_fill(store, "basket-1", 50);
    const uint64_t folded = basket_stats(repository).events_folded;
    assert_int_equal(950, folded);
    assert_total(repository, "basket-1", 1000, sum_to(1000));
    assert_int_equal(50, basket_stats(repository).events_folded - folded);
    assert_int_equal(1, basket_stats(repository).snapshots_loaded);
    assert_int_equal(1, basket_stats(repository).snapshots_saved);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void a_snapshot_is_written_when_enough_events_have_come(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = every(store, 10);
    basket_fill(store, "basket-1", 9);
    assert_total(repository, "basket-1", 9, sum_to(9));
    assert_false(stored_of(store, "basket-1").found);
    basket_fill(store, "basket-1", 1);
    assert_total(repository, "basket-1", 10, sum_to(10));
    assert_int_equal(10, stored_of(store, "basket-1").version);
    assert_int_equal(10 * SECOND, stored_of(store, "basket-1").time);
    basket_fill(store, "basket-1", 9);
    assert_total(repository, "basket-1", 19, sum_to(19));
    assert_int_equal(10, stored_of(store, "basket-1").version);
    basket_fill(store, "basket-1", 6);
    assert_total(repository, "basket-1", 25, sum_to(25));
    assert_int_equal(25, stored_of(store, "basket-1").version);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void saving_counts_as_well(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = every(store, 10);
    stele_message *command = add_command(3, 4);
    stele_error *error = NULL;
    for (int i = 0; i < 3; i++) {
        stele_message *more = add_command(3, 4);
        assert_ok(stele_execute(repository, "basket-1", more, NULL, &error), error);
        stele_message_unref(more);
        assert_int_equal(i < 2 ? 0 : 12, stored_of(store, "basket-1").version);
    }
    assert_ok(stele_execute(repository, "basket-1", command, NULL, &error), error);
    assert_int_equal(12, stored_of(store, "basket-1").version);
    assert_total(repository, "basket-1", 16, 48);
    stele_message_unref(command);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void without_the_option_none_is_written_and_none_is_read(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = every(store, 5);
    stele_repository *plain = basket_repository(store, NULL);
    basket_fill(store, "basket-1", 20);
    assert_total(plain, "basket-1", 20, sum_to(20));
    assert_false(stored_of(store, "basket-1").found);
    assert_total(repository, "basket-1", 20, sum_to(20));
    assert_true(stored_of(store, "basket-1").found);
    assert_total(plain, "basket-1", 20, sum_to(20));
    assert_int_equal(40, basket_stats(plain).events_folded);
    assert_int_equal(0, basket_stats(plain).snapshots_loaded);
    stele_repository_free(plain);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void a_missing_stream_has_no_snapshot(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = every(store, 1);
    struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    assert_status(STELE_NOT_FOUND, stele_load(repository, "basket-1", NULL, &instance, &error), error);
    options.or_new = true;
    assert_ok(stele_load(repository, "basket-1", &options, &instance, &error), error);
    stele_instance_free(instance);
    assert_false(stored_of(store, "basket-1").found);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void closing_writes_what_is_still_to_be_written(void **state)
{
    (void)state;
    const char *path = support_temp_path("baskets.db");
    stele_store *store = open_store(path);
    stele_repository *repository = every(store, 1);
    for (int i = 0; i < 20; i++) {
        char stream[32];
        snprintf(stream, sizeof stream, "basket-%d", i);
        basket_fill(store, stream, 2);
        assert_total(repository, stream, 2, 3);
    }
    stele_repository_free(repository);
    stele_store_close(store);
    store = open_store(path);
    for (int i = 0; i < 20; i++) {
        char stream[32];
        snprintf(stream, sizeof stream, "basket-%d", i);
        assert_int_equal(2, stored_of(store, stream).version);
    }
    stele_store_close(store);
}

static void a_store_opened_for_reading_uses_snapshots_and_writes_none(void **state)
{
    (void)state;
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    const char *path = support_temp_path("baskets.db");
    stele_store *store = open_store(path);
    stele_repository *repository = every(store, 5);
    stele_error *error = NULL;
    basket_fill(store, "basket-1", 5);
    assert_total(repository, "basket-1", 5, sum_to(5));
    basket_drain(store);
    basket_fill(store, "basket-1", 20);
    stele_repository_free(repository);
    stele_store_close(store);
    options.mode = STELE_OPEN_READ_ONLY;
    assert_ok(stele_store_open(path, &options, &store, &error), error);
    repository = every(store, 5);
    assert_total(repository, "basket-1", 25, sum_to(25));
    assert_int_equal(20, basket_stats(repository).events_folded);
    assert_int_equal(5, stored_of(store, "basket-1").version);
    assert_int_equal(0, basket_stats(repository).snapshots_failed);
    stele_repository_free(repository);
    stele_store_close(store);
}

/* --- As of ------------------------------------------------------------------------ */

static void ORX50_a_snapshot_is_not_used_for_an_earlier_version_or_time(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = every(store, 10);
    struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    basket_fill(store, "basket-1", 10);
    assert_total(repository, "basket-1", 10, sum_to(10));
    basket_drain(store);
    basket_fill(store, "basket-1", 10);
    for (uint64_t version = 1; version <= 20; version++) {
        const uint64_t folded = basket_stats(repository).events_folded;
        options.version = version;
        options.has_time = false;
        assert_ok(stele_load(repository, "basket-1", &options, &instance, &error), error);
        assert_int_equal(sum_to((int64_t)version), basket_of(instance)->total);
        assert_int_equal(version < 10 ? version : version - 10, basket_stats(repository).events_folded - folded);
        stele_instance_free(instance);
        options.version = 0;
        options.has_time = true;
        options.time = (int64_t)version * SECOND;
        assert_ok(stele_load(repository, "basket-1", &options, &instance, &error), error);
        assert_int_equal(sum_to((int64_t)version), basket_of(instance)->total);
        stele_instance_free(instance);
    }
    /* and what is loaded as of then is not taken for the newest state */
    assert_int_equal(10, stored_of(store, "basket-1").version);
    assert_total(repository, "basket-1", 20, sum_to(20));
    stele_repository_free(repository);
    stele_store_close(store);
}

static void ORX50_a_late_event_inside_a_snapshot_still_hides_those_behind_it(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = every(store, 3);
    struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    basket_append(store, "basket-1", &added_type, &(const struct added){.amount = 1}, SECOND);
    basket_append(store, "basket-1", &added_type, &(const struct added){.amount = 2}, 9 * SECOND);
    basket_append(store, "basket-1", &added_type, &(const struct added){.amount = 4}, 2 * SECOND);
    assert_total(repository, "basket-1", 3, 7);
    assert_int_equal(9 * SECOND, stored_of(store, "basket-1").time);
    options.has_time = true;
    options.time = 5 * SECOND;
    assert_ok(stele_load(repository, "basket-1", &options, &instance, &error), error);
    assert_int_equal(1, basket_of(instance)->total);
    assert_int_equal(1, stele_instance_version(instance));
    stele_instance_free(instance);
    stele_repository_free(repository);
    stele_store_close(store);
}

/* --- Discarding --------------------------------------------------------------------- */

static void assert_discards(uint64_t shape, uint64_t damaged, uint64_t beyond, const stele_repository *repository)
{
    const struct stele_repository_stats stats = basket_stats(repository);
    assert_int_equal(shape, stats.discarded_shape);
    assert_int_equal(damaged, stats.discarded_damaged);
    assert_int_equal(beyond, stats.discarded_beyond);
}

static void E3_a_snapshot_of_another_shape_is_discarded_counted_and_replaced(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *older = every(store, 10);
    basket_fill(store, "basket-1", 12);
    assert_total(older, "basket-1", 12, sum_to(12));
    const struct stored before = stored_of(store, "basket-1");
    assert_int_equal(12, before.version);
    stele_repository_free(older);
    stele_repository *newer = basket_repository(
        store, &(const struct basket_options){.aggregate = &new_basket_aggregate, .snapshot_every = 1000});
    assert_total(newer, "basket-1", 12, sum_to(12));
    assert_discards(1, 0, 0, newer);
    assert_int_equal(12, basket_stats(newer).events_folded);
    const struct stored after = stored_of(store, "basket-1");
    assert_int_equal(12, after.version);
    assert_memory_not_equal(before.fingerprint, after.fingerprint, 16);
    assert_total(newer, "basket-1", 12, sum_to(12));
    assert_int_equal(12, basket_stats(newer).events_folded);
    assert_discards(1, 0, 0, newer);
    stele_repository_free(newer);
    stele_store_close(store);
}

static void E3_bytes_that_do_not_decode_are_discarded_counted_and_replaced(void **state)
{
    (void)state;
    static const char *const garbage[] = {"\xc1", "\x80", "no map", "\x81\xa5total\xa4many", ""};
    stele_store *store = open_store("memory:");
    stele_repository *repository = every(store, 1000);
    stele_repository *eager = every(store, 1);
    basket_fill(store, "basket-1", 12);
    assert_total(eager, "basket-1", 12, sum_to(12));
    const struct stored before = stored_of(store, "basket-1");
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        forge(store, "basket-1", 12, before.fingerprint, support_slice(garbage[i]));
        assert_total(repository, "basket-1", 12, sum_to(12));
        assert_discards(0, i + 1, 0, repository);
        assert_int_equal(12, stored_of(store, "basket-1").version);
        assert_int_equal(before.bytes, stored_of(store, "basket-1").bytes);
        const uint64_t folded = basket_stats(repository).events_folded;
        assert_total(repository, "basket-1", 12, sum_to(12));
        assert_int_equal(folded, basket_stats(repository).events_folded);
    }
    stele_repository_free(eager);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void E3_a_row_that_is_damaged_is_discarded_counted_and_replaced(void **state);

/* A snapshot of a stream that is shorter: the backends refuse to save one, so its stream is told to be another. */
struct longer {
    struct stele_store_ops ops;
    const struct stele_store_ops *real;
    struct stele_backend *backend;
    uint64_t more;
    int drops;
};

static struct longer longer;

struct passing {
    stele_snapshot_visit *visit;
    void *context;
};

static bool pass_longer(void *context, const struct stele_snapshot *snapshot)
{
    const struct passing *passing = context;
    struct stele_snapshot told = *snapshot;
    told.version += longer.more;
    return passing->visit(passing->context, &told);
}

static stele_status load_longer(struct stele_backend *backend, struct stele_slice stream, stele_snapshot_visit *visit,
                                void *context, stele_error **error)
{
    struct passing passing = {visit, context};
    return longer.real->load_snapshot(backend, stream, pass_longer, &passing, error);
}

static stele_status count_drop(struct stele_backend *backend, struct stele_slice stream, stele_error **error)
{
    longer.drops++;
    return longer.real->drop_snapshot(backend, stream, error);
}

static void E3_a_snapshot_beyond_the_stream_is_discarded_counted_and_replaced(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = every(store, 10);
    basket_fill(store, "basket-1", 12);
    assert_total(repository, "basket-1", 12, sum_to(12));
    basket_drain(store);
    longer = (struct longer){.ops = *store->ops, .real = store->ops, .more = 1};
    longer.ops.load_snapshot = load_longer;
    longer.ops.drop_snapshot = count_drop;
    store->ops = &longer.ops;
    assert_total(repository, "basket-1", 12, sum_to(12));
    assert_discards(0, 0, 1, repository);
    assert_int_equal(24, basket_stats(repository).events_folded);
    longer.more = 0;
    assert_int_equal(12, stored_of(store, "basket-1").version);
    assert_int_equal(2, basket_stats(repository).snapshots_saved);
    assert_int_equal(1, longer.drops); /* or the newer one would stay */
    assert_total(repository, "basket-1", 12, sum_to(12));
    assert_int_equal(24, basket_stats(repository).events_folded);
    assert_discards(0, 0, 1, repository);
    stele_repository_free(repository);
    stele_store_close(store);
}

static stele_status fail_damaged(struct stele_backend *backend, struct stele_slice stream, stele_snapshot_visit *visit,
                                 void *context, stele_error **error)
{
    (void)backend;
    (void)stream;
    (void)visit;
    (void)context;
    return stele__fail(error, STELE_CORRUPT, "a row is damaged");
}

static void E3_a_row_that_is_damaged_is_discarded_counted_and_replaced(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = every(store, 1000);
    basket_fill(store, "basket-1", 12);
    longer = (struct longer){.ops = *store->ops, .real = store->ops};
    longer.ops.load_snapshot = fail_damaged;
    store->ops = &longer.ops;
    assert_total(repository, "basket-1", 12, sum_to(12));
    basket_drain(store);
    store->ops = longer.real;
    assert_discards(0, 1, 0, repository);
    assert_int_equal(12, stored_of(store, "basket-1").version);
    stele_repository_free(repository);
    stele_store_close(store);
}

/* --- States that cannot be encoded ------------------------------------------------------ */

#define VASE(FIELD, T) FIELD(T, TEXT, maker) FIELD(T, INT64, cracks)
STELE_DECLARE(vase, VASE);
STELE_DEFINE_STATE(vase, "test.vase", 1, VASE);
#define LOOK_AT(FIELD, T) FIELD(T, NONE, stele_unused)
STELE_DECLARE(look_at, LOOK_AT);
STELE_DEFINE_COMMAND(look_at, "test.vase.look", 1, LOOK_AT);

static void on_crack(struct vase *vase, const struct added *event)
{
    vase->cracks += event->amount;
}

static stele_status decide_look_at(const struct vase *vase, const struct look_at *command, stele_decision *decision)
{
    (void)vase;
    (void)command;
    (void)decision;
    return STELE_OK;
}
#define VASE_EVENTS(EVOLVE, A) EVOLVE(A, added, on_crack)
#define VASE_COMMANDS(DECIDE, A) DECIDE(A, look_at, decide_look_at)
STELE_DEFINE_AGGREGATE(vase, VASE_EVENTS, VASE_COMMANDS);

static void a_state_that_cannot_be_encoded_is_counted_and_replayed(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository =
        basket_repository(store, &(const struct basket_options){.aggregate = &vase_aggregate, .snapshot_every = 2});
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    basket_fill(store, "vase-1", 3);
    for (int i = 1; i <= 2; i++) {
        assert_ok(stele_load(repository, "vase-1", NULL, &instance, &error), error);
        assert_int_equal(6, STELE_STATE_OF(vase, instance)->cracks);
        stele_instance_free(instance);
        assert_int_equal(i, basket_stats(repository).snapshots_failed);
        assert_int_equal(3 * i, basket_stats(repository).events_folded);
    }
    assert_false(stored_of(store, "vase-1").found);
    stele_repository_free(repository);
    stele_store_close(store);
}

/* --- Commands that come again -------------------------------------------------------------- */

static void a_command_from_before_the_snapshot_still_counts_once(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository =
        basket_repository(store, &(const struct basket_options){.snapshot_every = 5, .cache_bytes = 1024 * 1024});
    stele_message *command = add_command(7, 2);
    stele_message *large = add_command(100, 1);
    struct stele_appended first, again;
    stele_error *error = NULL;
    assert_ok(stele_execute(repository, "basket-1", command, &first, &error), error);
    basket_fill(store, "basket-1", 8); /* 3 to 10 */
    /* decided on today's state, the command would be refused */
    basket_append(store, "basket-1", &capped_type, &(const struct capped){.ceiling = {.value = 1, .present = true}}, 0);
    assert_total(repository, "basket-1", 11, 14 + 52);
    basket_drain(store);
    assert_status(STELE_REJECTED, stele_execute(repository, "basket-1", large, NULL, &error), error);
    assert_ok(stele_execute(repository, "basket-1", command, &again, &error), error);
    assert_true(again.repeated);
    assert_int_equal(first.version, again.version);
    assert_int_equal(first.first_position, again.first_position);
    assert_total(repository, "basket-1", 11, 14 + 52);
    stele_message_unref(large);
    stele_message_unref(command);
    stele_repository_free(repository);
    stele_store_close(store);
}

/* --- Fingerprints ------------------------------------------------------------------------------ */

static void the_text_of_a_fingerprint_names_every_field(void **state)
{
    (void)state;
    struct stele__buffer text;
    stele__buffer_init(&text);
    assert_true(stele__fingerprint_text(&basket_aggregate, STELE_UNKNOWN_IS_ERROR, NULL, &text));
    assert_string_equal("0 test.basket 1\n"
                        "arena memory\n"
                        "optional text owner\n"
                        "int64 total\n"
                        "list struct 1 lines\n"
                        "optional struct 1 dearest\n"
                        "list text notes\n"
                        "optional bytes seal\n"
                        "uuid ticket\n"
                        "optional int64 ceiling\n"
                        "double mean\n"
                        "bool touched\n"
                        "1 line 1\n"
                        "int64 amount\n"
                        "optional text note\n",
                        stele__buffer_slice(&text).data);
    stele__buffer_reset(&text);
    assert_true(stele__fingerprint_text(&basket_aggregate, STELE_UNKNOWN_IS_SKIPPED, NULL, &text));
    assert_non_null(strstr(stele__buffer_slice(&text).data, "optional text note\n"
                                                            "event test.basket.added\n"
                                                            "event test.basket.capped\n"
                                                            "event test.basket.named\n"
                                                            "event test.basket.sealed\n"));
    stele__buffer_fini(&text);
}

/* A program that learns an event that it skipped before must not trust a state that was folded without it. */
static void E3_who_skips_unknown_events_discards_snapshots_when_more_are_known(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    struct stele_aggregate less = basket_aggregate;
    less.evolution_count--; /* without capped */
    stele_repository *older = basket_repository(
        store,
        &(const struct basket_options){.aggregate = &less, .unknown = STELE_UNKNOWN_IS_SKIPPED, .snapshot_every = 1});
    stele_repository *newer = basket_repository(
        store, &(const struct basket_options){.unknown = STELE_UNKNOWN_IS_SKIPPED, .snapshot_every = 1});
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    basket_fill(store, "basket-1", 3);
    basket_append(store, "basket-1", &capped_type, &(const struct capped){.ceiling = {.value = 50, .present = true}},
                  0);
    assert_ok(stele_load(older, "basket-1", NULL, &instance, &error), error);
    assert_int_equal(4, stele_instance_version(instance));
    stele_instance_free(instance);
    basket_drain(store);
    assert_ok(stele_load(newer, "basket-1", NULL, &instance, &error), error);
    assert_true(basket_of(instance)->ceiling.present);
    stele_instance_free(instance);
    assert_discards(1, 0, 0, newer);
    stele_repository_free(newer);
    stele_repository_free(older);
    stele_store_close(store);
}

/* --- It makes no difference ---------------------------------------------------------------------- */

static void append_random(struct support_random *random, stele_store *store, const char *stream)
{
    static const char *const words[] = {"", "a", "Z\xc3\xbcrich", "a longer text, of a few words"};
    const char *word = words[support_random_below(random, 4)];
    const int64_t time = (int64_t)support_random_below(random, 50) * SECOND;
    uint8_t seal[8];
    struct stele_uuid ticket;
    switch (support_random_below(random, 8)) {
    case 0: basket_append(store, stream, &named_type, &(const struct named){.name = word}, time); break;
    case 1:
        support_random_bytes(random, seal, sizeof seal);
        support_random_bytes(random, ticket.bytes, sizeof ticket.bytes);
        basket_append(
            store, stream, &sealed_type,
            &(const struct sealed){.seal = {(const char *)seal, support_random_below(random, 9)}, .ticket = ticket},
            time);
        break;
    case 2:
        basket_append(store, stream, &capped_type,
                      &(const struct capped){.ceiling = {.value = (int64_t)support_random_below(random, 1000),
                                                         .present = support_random_below(random, 2) != 0}},
                      time);
        break;
    case 3: basket_append(store, stream, &dropped_type, &(const struct dropped){.stele_unused = 0}, time); break;
    default:
        basket_append(store, stream, &added_type,
                      &(const struct added){.amount = (int64_t)support_random_next(random) >> 20,
                                            .note = support_random_below(random, 2) ? word : NULL},
                      time);
    }
}

/* Load with all repositories: the first replays, the others must come to the same. */
static void assert_all_alike(stele_repository *const *repositories, size_t count, const char *stream,
                             const struct stele_load_options *options)
{
    stele_arena *arena = NULL;
    struct stele_slice wanted = {NULL, 0};
    stele_status wanted_status = STELE_OK;
    uint64_t wanted_version = 0;
    assert_int_equal(STELE_OK, stele_arena_new(&arena, NULL));
    for (size_t i = 0; i < count; i++) {
        stele_instance *instance = NULL;
        struct stele_slice found = {"", 0};
        const stele_status status = stele_load(repositories[i], stream, options, &instance, NULL);
        if (status == STELE_OK)
            assert_int_equal(STELE_OK, stele_json_encode(&basket_type, basket_of(instance), arena, &found, NULL));
        if (i == 0) {
            wanted = found;
            wanted_status = status;
            wanted_version = status == STELE_OK ? stele_instance_version(instance) : 0;
        }
        assert_int_equal(wanted_status, status);
        assert_string_equal(wanted.data, found.data);
        if (status == STELE_OK)
            assert_int_equal(wanted_version, stele_instance_version(instance));
        stele_instance_free(instance);
    }
    stele_arena_free(arena);
}

static void execute_random(struct support_random *random, stele_repository *repository, const char *stream)
{
    stele_message *command =
        add_command((int64_t)support_random_below(random, 100), 1 + (int64_t)support_random_below(random, 3));
    const stele_status status = stele_execute(repository, stream, command, NULL, NULL);
    assert_true(status == STELE_OK || status == STELE_REJECTED);
    stele_message_unref(command);
}

static void run_history(struct support_random *random, const char *url, int steps)
{
    enum { REPOSITORIES = 5, STREAMS = 3 };
    static const struct basket_options kinds[REPOSITORIES] = {
        {.unknown = STELE_UNKNOWN_IS_SKIPPED},
        {.unknown = STELE_UNKNOWN_IS_SKIPPED, .snapshot_every = 1},
        {.unknown = STELE_UNKNOWN_IS_SKIPPED, .snapshot_every = 7},
        {.unknown = STELE_UNKNOWN_IS_SKIPPED, .cache_bytes = 20000},
        {.unknown = STELE_UNKNOWN_IS_SKIPPED, .snapshot_every = 4, .cache_bytes = 9000},
    };
    static const char *const streams[STREAMS] = {"basket-1", "basket-2", "basket-3"};
    stele_store *store = open_store(url);
    stele_repository *repositories[REPOSITORIES];
    for (size_t i = 0; i < REPOSITORIES; i++)
        repositories[i] = basket_repository(store, &kinds[i]);
    for (int step = 0; step < steps; step++) {
        const char *stream = streams[support_random_below(random, STREAMS)];
        struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
        switch (support_random_below(random, 6)) {
        case 0: execute_random(random, repositories[support_random_below(random, REPOSITORIES)], stream); break;
        case 1: options.version = 1 + support_random_below(random, 60); break;
        case 2:
            options.has_time = true;
            options.time = (int64_t)support_random_below(random, 50) * SECOND;
            break;
        case 3: basket_drain(store); break;
        default: append_random(random, store, stream);
        }
        assert_all_alike(repositories, REPOSITORIES, stream, &options);
    }
    for (size_t i = 0; i < REPOSITORIES; i++) {
        const struct stele_repository_stats stats = basket_stats(repositories[i]);
        assert_int_equal(0, stats.discarded_beyond + stats.discarded_damaged + stats.discarded_shape);
        assert_true(!kinds[i].snapshot_every || kinds[i].cache_bytes || stats.snapshots_loaded > 0);
        assert_true(!kinds[i].cache_bytes || stats.cache_hits > 0);
        stele_repository_free(repositories[i]);
    }
    stele_store_close(store);
}

static void E3_any_history_gives_the_same_state_with_and_without(void **state)
{
    (void)state;
    struct support_random random = support_seed();
    for (int i = 0; i < 20; i++)
        run_history(&random, "memory:", 150);
    run_history(&random, support_temp_path("baskets.db"), 300);
}

/* --- Memory and threads ----------------------------------------------------------------------- */

static stele_status add_events(stele_store *store, int64_t count, stele_error **error)
{
    stele_status status = STELE_OK;
    for (int64_t i = 1; i <= count && status == STELE_OK; i++) {
        stele_message *event = NULL;
        status = added_message(&(const struct added){.amount = i, .note = "noted"}, NULL, &event, error);
        if (status == STELE_OK)
            status = stele_append(store, "basket-1", stele_expect_any(), event, NULL, error);
        stele_message_unref(event);
    }
    return status;
}

static stele_status load_twelve(const stele_repository *repository, stele_error **error)
{
    stele_instance *instance = NULL;
    const stele_status status = stele_load(repository, "basket-1", NULL, &instance, error);
    if (status == STELE_OK) {
        assert_int_equal(sum_to(12), basket_of(instance)->total);
        assert_int_equal(12, basket_of(instance)->lines.count);
        assert_int_equal(12, basket_of(instance)->notes.count);
        assert_string_equal("noted", basket_of(instance)->lines.items[11].note);
    }
    stele_instance_free(instance);
    return status;
}

/* Replayed; from the snapshot, in a repository of its own; from the cache; and then each once more. */
static stele_status live_a_life(void *context, stele_error **error)
{
    const struct stele_repository_options *options = context;
    stele_store *store = NULL;
    stele_status status = stele_store_open("memory:", NULL, &store, error);
    if (status == STELE_OK)
        status = add_events(store, 12, error);
    for (int i = 0; i < 2 && status == STELE_OK; i++) {
        stele_repository *repository = NULL;
        status = stele_repository_new(store, &basket_aggregate, options, &repository, error);
        for (int j = 0; j < 2 && status == STELE_OK; j++)
            status = load_twelve(repository, error);
        basket_drain(store);
        stele_repository_free(repository);
    }
    stele_store_close(store);
    return status;
}

static void loading_is_whole_or_fails_whichever_allocation_fails(void **state)
{
    (void)state;
    struct stele_repository_options options = STELE_OPTIONS_INIT(struct stele_repository_options);
    options.snapshot_every = 5;
    assert_in_range(support_every_allocation_fails(live_a_life, &options), 50, 1000);
    options.cache_bytes = 100000;
    assert_in_range(support_every_allocation_fails(live_a_life, &options), 50, 1000);
}

enum { THREADS = 6, ROUNDS = 60 };

struct busy {
    stele_repository *repository;
    unsigned number;
    int failures;
};

static void *keep_busy(void *context)
{
    struct busy *busy = context;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const char *stream = (i + busy->number) % 3 == 0 ? "basket-a" : "basket-b";
        stele_message *command = NULL;
        if (add_message(&(const struct add){.amount = 1, .parts = 1}, NULL, &command, NULL) != STELE_OK)
            busy->failures++;
        struct stele_execute_options options = STELE_OPTIONS_INIT(struct stele_execute_options);
        const struct stele_execution execution = {busy->repository, stream, command};
        options.attempts = 1000;
        if (stele_execute_all(&execution, 1, &options, NULL, NULL) != STELE_OK)
            busy->failures++;
        stele_message_unref(command);
    }
    return NULL;
}

static void many_threads_share_a_repository_with_snapshots_and_a_cache(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository =
        basket_repository(store, &(const struct basket_options){.snapshot_every = 3, .cache_bytes = 100000});
    stele_repository *plain = basket_repository(store, NULL);
    pthread_t threads[THREADS];
    struct busy busy[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        busy[i] = (struct busy){repository, i, 0};
        assert_int_equal(0, pthread_create(&threads[i], NULL, keep_busy, &busy[i]));
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(0, busy[i].failures);
    }
    assert_total(repository, "basket-a", THREADS * ROUNDS / 3, THREADS * ROUNDS / 3);
    assert_total(repository, "basket-b", THREADS * ROUNDS / 3 * 2, THREADS * ROUNDS / 3 * 2);
    assert_total(plain, "basket-b", THREADS * ROUNDS / 3 * 2, THREADS * ROUNDS / 3 * 2);
    basket_drain(store);
    const struct stele_repository_stats stats = basket_stats(repository);
    assert_int_equal(0, stats.snapshots_failed + stats.discarded_beyond + stats.discarded_damaged);
    assert_true(stats.snapshots_saved > 0);
    assert_int_equal(stats.conflicts, stats.retries);
    stele_repository_free(plain);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void arguments_of_stats_are_checked(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = basket_repository(store, NULL);
    struct stele_repository_stats stats;
    stele_error *error = NULL;
    assert_status(STELE_INVALID, stele_repository_stats(NULL, &stats, &error), error);
    assert_status(STELE_INVALID, stele_repository_stats(repository, NULL, &error), error);
    stele_repository_free(repository);
    stele_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(ORX21_50_events_are_folded_behind_a_snapshot_at_950_of_1000),
        support_test(a_snapshot_is_written_when_enough_events_have_come),
        support_test(saving_counts_as_well),
        support_test(without_the_option_none_is_written_and_none_is_read),
        support_test(a_missing_stream_has_no_snapshot),
        support_test(closing_writes_what_is_still_to_be_written),
        support_test(a_store_opened_for_reading_uses_snapshots_and_writes_none),
        support_test(ORX50_a_snapshot_is_not_used_for_an_earlier_version_or_time),
        support_test(ORX50_a_late_event_inside_a_snapshot_still_hides_those_behind_it),
        support_test(E3_a_snapshot_of_another_shape_is_discarded_counted_and_replaced),
        support_test(E3_bytes_that_do_not_decode_are_discarded_counted_and_replaced),
        support_test(E3_a_row_that_is_damaged_is_discarded_counted_and_replaced),
        support_test(E3_a_snapshot_beyond_the_stream_is_discarded_counted_and_replaced),
        support_test(a_state_that_cannot_be_encoded_is_counted_and_replayed),
        support_test(a_command_from_before_the_snapshot_still_counts_once),
        support_test(the_text_of_a_fingerprint_names_every_field),
        support_test(E3_who_skips_unknown_events_discards_snapshots_when_more_are_known),
        support_test(E3_any_history_gives_the_same_state_with_and_without),
        support_test(loading_is_whole_or_fails_whichever_allocation_fails),
        support_test(many_threads_share_a_repository_with_snapshots_and_a_cache),
        support_test(arguments_of_stats_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
