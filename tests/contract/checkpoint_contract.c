/* Checkpoints (C2): how far a named reader has come, compared and set. */
#include "tests/contract/contract.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static stele_store *open_with_events(int64_t count)
{
    stele_store *store = contract_open();

    for (int64_t i = 1; i <= count; i++)
        contract_append(store, "a", i);
    return store;
}

static void write_to(stele_store *store, const char *name, uint64_t expected, uint64_t position)
{
    stele_error *error = NULL;

    assert_ok(stele_checkpoint_write(store, name, expected, position, &error), error);
}

static uint64_t read_from(stele_store *store, const char *name)
{
    uint64_t position = UINT64_MAX;
    stele_error *error = NULL;

    assert_ok(stele_checkpoint_read(store, name, &position, &error), error);
    return position;
}

static void C2_a_checkpoint_is_where_it_was_written(void **state)
{
    stele_store *store = open_with_events(5);
    uint64_t position = 77;
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_NOT_FOUND, stele_checkpoint_read(store, "mailer", &position, &error), error);
    assert_message(error, "mailer");
    assert_string_equal(stele_error_get(error, "checkpoint"), "mailer");
    stele_error_free(error);
    assert_int_equal(position, 77);
    write_to(store, "mailer", STELE_NO_CHECKPOINT, 0);
    assert_int_equal(read_from(store, "mailer"), 0);
    write_to(store, "mailer", 0, 3);
    write_to(store, "other", STELE_NO_CHECKPOINT, 1);
    assert_int_equal(read_from(store, "mailer"), 3);
    store = contract_reopen(store);
    assert_int_equal(read_from(store, "mailer"), 3);
    assert_int_equal(read_from(store, "other"), 1);
    stele_store_close(store);
}

static void C2_writing_from_another_place_than_the_recorded_one_is_a_conflict(void **state)
{
    stele_store *store = open_with_events(5);
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_CONFLICT, stele_checkpoint_write(store, "mailer", 2, 3, &error), error);
    write_to(store, "mailer", STELE_NO_CHECKPOINT, 4);
    assert_failure(STELE_CONFLICT, stele_checkpoint_write(store, "mailer", 3, 5, &error), error);
    assert_message(error, "checkpoint \"mailer\": expected at 3, but it is at 4");
    assert_string_equal(stele_error_get(error, "expected"), "3");
    assert_string_equal(stele_error_get(error, "actual"), "4");
    stele_error_free(error);
    error = NULL;
    assert_failure(STELE_CONFLICT, stele_checkpoint_write(store, "mailer", STELE_NO_CHECKPOINT, 5, &error), error);
    assert_message(error, "expected at none, but it is at 4");
    stele_error_free(error);
    assert_int_equal(read_from(store, "mailer"), 4);
    stele_store_close(store);
}

static void C2_a_checkpoint_goes_back_only_by_stating_what_is_replaced(void **state)
{
    stele_store *store = open_with_events(5);
    stele_error *error = NULL;

    (void)state;
    write_to(store, "mailer", STELE_NO_CHECKPOINT, 4);
    assert_status(STELE_CONFLICT, stele_checkpoint_write(store, "mailer", 1, 2, &error), error);
    write_to(store, "mailer", 4, 2);
    assert_int_equal(read_from(store, "mailer"), 2);
    stele_store_close(store);
}

static void C2_a_checkpoint_is_never_ahead_of_the_log(void **state)
{
    stele_store *store = open_with_events(5);
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele_checkpoint_write(store, "mailer", STELE_NO_CHECKPOINT, 6, &error), error);
    assert_message(error, "position: 6 is behind the last event, at 5");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_NOT_FOUND, stele_checkpoint_read(store, "mailer", &(uint64_t){0}, &error), error);
    write_to(store, "mailer", STELE_NO_CHECKPOINT, 5);
    stele_store_close(store);
}

struct listing {
    char text[256];
    size_t count;
    size_t most;
};

static bool list_one(void *context, const struct stele_checkpoint *checkpoint)
{
    struct listing *listing = context;
    const size_t used = strlen(listing->text);

    snprintf(listing->text + used, sizeof(listing->text) - used, "%s=%d ", checkpoint->name, (int)checkpoint->position);
    assert_true(checkpoint->time > 0);
    return ++listing->count < listing->most;
}

static void checkpoints_are_listed_by_name(void **state)
{
    stele_store *store = open_with_events(5);
    struct listing all = {.most = 99};
    struct listing two = {.most = 2};
    struct listing none = {.most = 99};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_checkpoint_list(store, list_one, &none, &error), error);
    assert_int_equal(none.count, 0);
    write_to(store, "mailer", STELE_NO_CHECKPOINT, 4);
    write_to(store, "Zebra", STELE_NO_CHECKPOINT, 1);
    write_to(store, "\xc3\xa4rger", STELE_NO_CHECKPOINT, 5);
    write_to(store, "audit", STELE_NO_CHECKPOINT, 0);
    assert_ok(stele_checkpoint_list(store, list_one, &all, &error), error);
    assert_string_equal(all.text, "Zebra=1 audit=0 mailer=4 \xc3\xa4rger=5 ");
    assert_ok(stele_checkpoint_list(store, list_one, &two, &error), error);
    assert_string_equal(two.text, "Zebra=1 audit=0 ");
    stele_store_close(store);
}

static void a_deleted_checkpoint_is_gone(void **state)
{
    stele_store *store = open_with_events(5);
    struct listing left = {.most = 99};
    stele_error *error = NULL;

    (void)state;
    write_to(store, "a", STELE_NO_CHECKPOINT, 1);
    write_to(store, "b", STELE_NO_CHECKPOINT, 2);
    write_to(store, "c", STELE_NO_CHECKPOINT, 3);
    assert_ok(stele_checkpoint_delete(store, "b", &error), error);
    assert_status(STELE_NOT_FOUND, stele_checkpoint_delete(store, "b", &error), error);
    assert_status(STELE_NOT_FOUND, stele_checkpoint_read(store, "b", &(uint64_t){0}, &error), error);
    assert_ok(stele_checkpoint_list(store, list_one, &left, &error), error);
    assert_string_equal(left.text, "a=1 c=3 ");
    assert_status(STELE_CONFLICT, stele_checkpoint_write(store, "b", 2, 3, &error), error);
    write_to(store, "b", STELE_NO_CHECKPOINT, 5);
    assert_int_equal(read_from(store, "b"), 5);
    stele_store_close(store);
}

static void the_name_of_a_checkpoint_is_checked(void **state)
{
    stele_store *store = open_with_events(1);
    char name[STELE_CHECKPOINT_MAX + 2];
    uint64_t position;
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_INVALID, stele_checkpoint_read(store, NULL, &position, &error), error);
    assert_status(STELE_INVALID, stele_checkpoint_read(store, "", &position, &error), error);
    assert_status(STELE_INVALID, stele_checkpoint_read(store, "a", NULL, &error), error);
    assert_status(STELE_INVALID, stele_checkpoint_write(store, "a\n", STELE_NO_CHECKPOINT, 0, &error), error);
    assert_status(STELE_INVALID, stele_checkpoint_delete(store, "\xff", &error), error);
    assert_status(STELE_INVALID, stele_checkpoint_list(store, NULL, NULL, &error), error);
    memset(name, 'n', sizeof(name));
    name[STELE_CHECKPOINT_MAX + 1] = '\0';
    assert_failure(STELE_LIMIT, stele_checkpoint_write(store, name, STELE_NO_CHECKPOINT, 0, &error), error);
    assert_string_equal(stele_error_get(error, "limit"), "255");
    assert_string_equal(stele_error_get(error, "actual"), "256");
    stele_error_free(error);
    name[STELE_CHECKPOINT_MAX] = '\0';
    write_to(store, name, STELE_NO_CHECKPOINT, 1);
    assert_int_equal(read_from(store, name), 1);
    stele_store_close(store);
}

enum { MOVERS = 4, MOVES = 50 };

struct mover {
    stele_store *store;
    pthread_t thread;
    unsigned moved;
};

/* Move "shared" on by one, from wherever it is, until it is at the end. */
static void *keep_moving(void *context)
{
    struct mover *mover = context;
    uint64_t position = 0;

    while (stele_checkpoint_read(mover->store, "shared", &position, NULL) == STELE_OK && position < MOVES)
        if (stele_checkpoint_write(mover->store, "shared", position, position + 1, NULL) == STELE_OK)
            mover->moved++;
    return NULL;
}

static void C2_one_of_many_who_move_a_checkpoint_wins(void **state)
{
    stele_store *store = open_with_events(MOVES);
    struct mover movers[MOVERS] = {{.store = NULL}};
    unsigned moved = 0;

    (void)state;
    write_to(store, "shared", STELE_NO_CHECKPOINT, 0);
    for (int i = 0; i < MOVERS; i++) {
        movers[i].store = store;
        assert_int_equal(pthread_create(&movers[i].thread, NULL, keep_moving, &movers[i]), 0);
    }
    for (int i = 0; i < MOVERS; i++) {
        pthread_join(movers[i].thread, NULL);
        moved += movers[i].moved;
    }
    /* Each step was made by one of them. */
    assert_int_equal(moved, MOVES);
    assert_int_equal(read_from(store, "shared"), MOVES);
    stele_store_close(store);
}

static stele_status write_and_read(void *context, stele_error **error)
{
    stele_store *store = context;
    uint64_t position = 0;
    stele_status status = stele_checkpoint_write(store, "fragile", STELE_NO_CHECKPOINT, 2, error);

    if (status != STELE_OK)
        return status;
    status = stele_checkpoint_read(store, "fragile", &position, error);
    if (stele_checkpoint_delete(store, "fragile", NULL) != STELE_OK)
        return stele_checkpoint_delete(store, "fragile", error);
    return status;
}

static void a_checkpoint_survives_a_lack_of_memory(void **state)
{
    stele_store *store = open_with_events(3);
    stele_error *error = NULL;

    (void)state;
    /* Once undisturbed, so that what stays prepared is there. */
    assert_ok(write_and_read(store, &error), error);
    support_every_allocation_fails(write_and_read, store);
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(C2_a_checkpoint_is_where_it_was_written),
    support_test(C2_writing_from_another_place_than_the_recorded_one_is_a_conflict),
    support_test(C2_a_checkpoint_goes_back_only_by_stating_what_is_replaced),
    support_test(C2_a_checkpoint_is_never_ahead_of_the_log),
    support_test(checkpoints_are_listed_by_name),
    support_test(a_deleted_checkpoint_is_gone),
    support_test(the_name_of_a_checkpoint_is_checked),
    support_test(C2_one_of_many_who_move_a_checkpoint_wins),
    support_test(a_checkpoint_survives_a_lack_of_memory),
};

CONTRACT_GROUP(contract_checkpoint_group, tests);
