/* Being told of commits, and appends to the library's own streams. */
#include "tests/support/support.h"

#include <stele/store.h>

#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

/* A listener that counts, and keeps the highest head. */
struct ear {
    struct stele__listener listener;
    atomic_uint calls;
    _Atomic uint64_t head;
};

static void hear(struct stele__listener *listener, uint64_t head)
{
    struct ear *ear = (struct ear *)listener;
    uint64_t known = atomic_load(&ear->head);

    atomic_fetch_add(&ear->calls, 1);
    while (known < head && !atomic_compare_exchange_weak(&ear->head, &known, head))
        ;
}

static stele_store *open_store(void)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    assert_ok(stele_store_open("memory:", NULL, &store, &error), error);
    return store;
}

static stele_message *event(const char *id)
{
    const struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = "thing.happened", .format = STELE_PAYLOAD_MSGPACK, .payload = {"\1", 1}};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *message = NULL;
    stele_error *error = NULL;

    options.id = id;
    assert_ok(stele_message_new_raw(&raw, &options, &message, &error), error);
    return message;
}

static stele_status append(stele_store *store, const char *stream, struct stele_expected expected, const char *id,
                           stele_error **error)
{
    stele_message *message = event(id);
    const stele_status status = stele_append(store, stream, expected, message, NULL, error);

    stele_message_unref(message);
    return status;
}

/* --- Listeners ------------------------------------------------------------------------------ */

static void C6_a_listener_is_told_the_head_after_each_commit(void **state)
{
    struct ear ear = {.listener = {.committed = hear}};
    stele_store *store = open_store();
    stele_error *error = NULL;

    (void)state;
    assert_ok(append(store, "a", stele_expect_any(), NULL, &error), error);
    stele__listeners_add(&store->listeners, &ear.listener);
    assert_ok(append(store, "a", stele_expect_any(), NULL, &error), error);
    assert_int_equal(ear.calls, 1);
    assert_int_equal(ear.head, 2);
    assert_ok(append(store, "b", stele_expect_any(), NULL, &error), error);
    assert_int_equal(ear.calls, 2);
    assert_int_equal(ear.head, 3);
    stele__listeners_remove(&store->listeners, &ear.listener);
    assert_ok(append(store, "b", stele_expect_any(), NULL, &error), error);
    assert_int_equal(ear.calls, 2);
    stele_store_close(store);
}

static void an_append_that_writes_nothing_is_not_told(void **state)
{
    struct ear ear = {.listener = {.committed = hear}};
    stele_store *store = open_store();
    const struct stele_batch nothing = {.write_count = 0};
    stele_error *error = NULL;

    (void)state;
    stele__listeners_add(&store->listeners, &ear.listener);
    assert_status(STELE_CONFLICT, append(store, "a", stele_expect_version(5), NULL, &error), error);
    assert_ok(stele_append_batch(store, &nothing, NULL, &error), error);
    assert_int_equal(ear.calls, 0);
    stele__listeners_remove(&store->listeners, &ear.listener);
    stele_store_close(store);
}

static void every_listener_is_told_and_any_may_be_removed(void **state)
{
    struct ear ears[3] = {
        {.listener = {.committed = hear}}, {.listener = {.committed = hear}}, {.listener = {.committed = hear}}};
    stele_store *store = open_store();
    stele_error *error = NULL;

    (void)state;
    for (int i = 0; i < 3; i++)
        stele__listeners_add(&store->listeners, &ears[i].listener);
    assert_ok(append(store, "a", stele_expect_any(), NULL, &error), error);
    stele__listeners_remove(&store->listeners, &ears[1].listener);
    stele__listeners_remove(&store->listeners, &ears[1].listener);
    assert_ok(append(store, "a", stele_expect_any(), NULL, &error), error);
    assert_int_equal(ears[0].head, 2);
    assert_int_equal(ears[1].head, 1);
    assert_int_equal(ears[2].head, 2);
    stele__listeners_remove(&store->listeners, &ears[0].listener);
    stele__listeners_remove(&store->listeners, &ears[2].listener);
    assert_false(stele__listeners_any(&store->listeners));
    stele_store_close(store);
}

static void count_done(void *context, stele_status status, const struct stele_appended *result,
                       const stele_error *error)
{
    (void)result;
    (void)error;
    if (status == STELE_OK)
        (*(unsigned *)context)++;
}

static void what_is_appended_asynchronously_is_told_too(void **state)
{
    struct ear ear = {.listener = {.committed = hear}};
    stele_store *store = open_store();
    unsigned done = 0;
    stele_error *error = NULL;

    (void)state;
    stele__listeners_add(&store->listeners, &ear.listener);
    for (int i = 0; i < 20; i++) {
        stele_message *message = event(NULL);
        const struct stele_write write = {"a", message};
        const struct stele_batch batch = {.writes = &write, .write_count = 1};

        assert_ok(stele_append_async(store, &batch, count_done, &done, &error), error);
        stele_message_unref(message);
    }
    assert_ok(stele_flush(store, &error), error);
    assert_int_equal(done, 20);
    /* Groups are told before they are delivered. */
    assert_int_equal(ear.head, 20);
    stele__listeners_remove(&store->listeners, &ear.listener);
    stele_store_close(store);
}

enum { APPENDERS = 4, APPENDS = 200 };

static void *keep_appending(void *context)
{
    void *failed = NULL;

    for (int i = 0; i < APPENDS; i++)
        if (append(context, "shared", stele_expect_any(), NULL, NULL) != STELE_OK)
            failed = context;
    return failed;
}

static void C6_after_appends_of_many_threads_the_last_head_was_told(void **state)
{
    struct ear ear = {.listener = {.committed = hear}};
    stele_store *store = open_store();
    pthread_t threads[APPENDERS];
    void *failed = NULL;

    (void)state;
    stele__listeners_add(&store->listeners, &ear.listener);
    for (int i = 0; i < APPENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, keep_appending, store), 0);
    for (int i = 0; i < APPENDERS; i++) {
        /* They come and go while others are told. */
        struct ear guest = {.listener = {.committed = hear}};

        stele__listeners_add(&store->listeners, &guest.listener);
        stele__listeners_remove(&store->listeners, &guest.listener);
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    stele__listeners_remove(&store->listeners, &ear.listener);
    assert_int_equal(ear.head, APPENDERS * APPENDS);
    stele_store_close(store);
}

/* --- Own streams ------------------------------------------------------------------------------- */

static void streams_of_the_library_are_written_by_it_alone(void **state)
{
    stele_store *store = open_store();
    stele_message *message = event("one");
    const struct stele_write write = {"$dead", message};
    const struct stele_batch batch = {.writes = &write, .write_count = 1};
    stele_message *found = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_INVALID, stele_append_batch(store, &batch, NULL, &error), error);
    assert_status(STELE_INVALID, stele__store_append(store, &batch, NULL, NULL, &error), error);
    assert_ok(stele__store_append_own(store, &batch, &error), error);
    assert_ok(stele_find(store, "one", &found, &error), error);
    assert_memory_equal(stele_message_stream(found).data, "$dead", 5);
    stele_message_unref(found);
    stele_message_unref(message);
    stele_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C6_a_listener_is_told_the_head_after_each_commit),
        support_test(an_append_that_writes_nothing_is_not_told),
        support_test(every_listener_is_told_and_any_may_be_removed),
        support_test(what_is_appended_asynchronously_is_told_too),
        support_test(C6_after_appends_of_many_threads_the_last_head_was_told),
        support_test(streams_of_the_library_are_written_by_it_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
