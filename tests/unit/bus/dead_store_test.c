/* Dead letters in a store, without a bus: what "$dead" folds to, and what tools do to it (ORX-44). */
#include "tests/support/support.h"

#include <stele/deadletters.h>

#include "store/dead_log.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>

static stele_store *open_store(const char *url)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    assert_ok(stele_store_open(url, NULL, &store, &error), error);
    return store;
}

static stele_message *message(const char *id, const char *type)
{
    const struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = type, .format = STELE_PAYLOAD_MSGPACK, .payload = {"\x81\xa1n\7", 4}};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *out = NULL;
    stele_error *error = NULL;

    options.id = id;
    options.subject = "somebody";
    assert_ok(stele_message_new_raw(&raw, &options, &out, &error), error);
    return out;
}

static void store_it(stele_store *store, stele_message *event)
{
    stele_error *error = NULL;

    assert_ok(stele_append(store, "orders", stele_expect_any(), event, NULL, &error), error);
}

static stele_status bury(stele_store *store, const char *route, const stele_message *dead, const char *code,
                         int64_t time, stele_error **error)
{
    char id[STELE_ID_MAX + 1], type[STELE_TYPE_MAX + 1];
    const struct stele__burial burial = {
        .route = route, .id = id, .type = type, .code = code, .text = "no luck", .attempts = 3, .time = time};

    snprintf(id, sizeof(id), "%.*s", STELE_SLICE(stele_message_id(dead)));
    snprintf(type, sizeof(type), "%.*s", STELE_SLICE(stele_message_type(dead)));
    return stele__dead_write_burial(store, &burial, dead, error);
}

static void bury_new(stele_store *store, const char *route, const char *id, const char *code, int64_t time)
{
    stele_message *dead = message(id, "order.placed");
    stele_error *error = NULL;

    assert_ok(bury(store, route, dead, code, time, &error), error);
    stele_message_unref(dead);
}

/* What a list shows, in one line: "route/id*count " and so on. */
struct shown {
    char text[512];
    struct stele_dead_letter last; /* without texts */
    bool has_message;
    char subject[32];
    size_t most;
    size_t count;
};

static bool show(void *context, const struct stele_dead_letter *letter)
{
    struct shown *shown = context;
    const size_t used = strlen(shown->text);

    snprintf(shown->text + used, sizeof(shown->text) - used, "%s/%s*%d%s ", letter->route, letter->id,
             (int)letter->count, letter->is_requeued ? "?" : "");
    shown->last = *letter;
    shown->has_message = letter->message != NULL;
    if (letter->message)
        snprintf(shown->subject, sizeof(shown->subject), "%.*s", STELE_SLICE(stele_message_subject(letter->message)));
    return ++shown->count != shown->most;
}

static struct shown list(stele_store *store, const struct stele_dead_query *query)
{
    struct shown shown = {.most = 0};
    stele_error *error = NULL;

    assert_ok(stele_dead_list_in(store, query, show, &shown, &error), error);
    return shown;
}

#define DEAD(...) (&(const struct stele_dead_query){.size = sizeof(struct stele_dead_query), __VA_ARGS__})

static void assert_list(stele_store *store, const struct stele_dead_query *query, const char *expected)
{
    assert_string_equal(list(store, query).text, expected);
}

/* --- Burying -------------------------------------------------------------------------------- */

static void ORX44_a_message_that_is_stored_is_kept_by_its_position(void **state)
{
    stele_store *store = open_store("memory:");
    stele_message *event = message("e-1", "order.placed");
    struct shown shown;
    stele_error *error = NULL;

    (void)state;
    store_it(store, event);
    assert_ok(bury(store, "charge", event, "TIMEOUT", 500, &error), error);
    shown = list(store, NULL);
    assert_string_equal(shown.text, "charge/e-1*1 ");
    assert_int_equal(shown.last.position, 1);
    assert_int_equal(shown.last.attempts, 3);
    assert_int_equal(shown.last.first_time, 500);
    assert_int_equal(shown.last.last_time, 500);
    assert_true(shown.has_message);
    assert_string_equal(shown.subject, "somebody");
    stele_message_unref(event);
    stele_store_close(store);
}

static void ORX44_any_other_message_is_kept_as_a_whole(void **state)
{
    char url[4096];
    stele_store *store;
    struct shown shown;

    (void)state;
    snprintf(url, sizeof(url), "sqlite:%s/dead.db", support_temp_dir());
    store = open_store(url);
    bury_new(store, "charge", "c-1", "FAILED", 500);
    stele_store_close(store);
    store = open_store(url);
    shown = list(store, NULL);
    assert_string_equal(shown.text, "charge/c-1*1 ");
    assert_int_equal(shown.last.position, 0);
    assert_true(shown.has_message);
    assert_string_equal(shown.subject, "somebody");
    stele_store_close(store);
}

static void an_event_of_another_type_with_the_same_id_is_another_message(void **state)
{
    stele_store *store = open_store("memory:");
    stele_message *event = message("x-1", "order.shipped");
    struct shown shown;

    (void)state;
    store_it(store, event);
    bury_new(store, "charge", "x-1", "FAILED", 500);
    shown = list(store, NULL);
    assert_int_equal(shown.last.position, 0);
    assert_true(shown.has_message);
    stele_message_unref(event);
    stele_store_close(store);
}

static void ORX44_the_same_message_failing_there_again_raises_the_count(void **state)
{
    stele_store *store = open_store("memory:");
    struct shown shown;

    (void)state;
    bury_new(store, "charge", "c-1", "FAILED", 500);
    bury_new(store, "mail", "c-1", "FAILED", 600);
    bury_new(store, "charge", "c-1", "TIMEOUT", 700);
    /* The oldest first, by its first burial; another route is another letter. */
    assert_list(store, NULL, "charge/c-1*2 mail/c-1*1 ");
    shown = list(store, DEAD(.route = "charge"));
    assert_int_equal(shown.last.attempts, 6);
    assert_int_equal(shown.last.first_time, 500);
    assert_int_equal(shown.last.last_time, 700);
    assert_list(store, DEAD(.code = "TIMEOUT"), "charge/c-1*2 ");
    stele_store_close(store);
}

/* --- Choosing ------------------------------------------------------------------------------- */

static void letters_are_chosen_by_all_members_of_a_query(void **state)
{
    stele_store *store = open_store("memory:");
    struct shown two = {.most = 2};
    const struct {
        struct stele_dead_query query;
        char beyond;
    } larger = {.query = {.size = sizeof(larger)}, .beyond = 1};
    stele_error *error = NULL;

    (void)state;
    assert_list(store, NULL, "");
    bury_new(store, "a", "1", "FAILED", 1);
    bury_new(store, "b", "2", "FAILED", 2);
    bury_new(store, "a", "3", "TIMEOUT", 3);
    bury_new(store, "b", "4", "TIMEOUT", 4);
    assert_list(store, NULL, "a/1*1 b/2*1 a/3*1 b/4*1 ");
    assert_list(store, DEAD(.limit = 3), "a/1*1 b/2*1 a/3*1 ");
    assert_list(store, DEAD(.code = "TIMEOUT", .limit = 1), "a/3*1 ");
    assert_list(store, DEAD(.route = "b", .code = "FAILED"), "b/2*1 ");
    assert_list(store, DEAD(.id = "4"), "b/4*1 ");
    assert_list(store, DEAD(.id = "4", .route = "a"), "");
    assert_ok(stele_dead_list_in(store, NULL, show, &two, &error), error);
    assert_int_equal(two.count, 2);
    assert_status(STELE_INVALID, stele_dead_list_in(store, &larger.query, show, &two, &error), error);
    assert_status(STELE_INVALID, stele_dead_list_in(NULL, NULL, show, &two, &error), error);
    assert_status(STELE_INVALID, stele_dead_list_in(store, NULL, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_dead_drop_in(NULL, NULL, NULL, &error), error);
    stele_store_close(store);
}

/* --- Marks ----------------------------------------------------------------------------------- */

static void dropped_letters_are_gone(void **state)
{
    stele_store *store = open_store("memory:");
    uint64_t count = 99;
    stele_error *error = NULL;

    (void)state;
    bury_new(store, "a", "1", "FAILED", 1);
    bury_new(store, "b", "2", "FAILED", 2);
    bury_new(store, "a", "3", "FAILED", 3);
    assert_ok(stele_dead_drop_in(store, DEAD(.route = "a"), &count, &error), error);
    assert_int_equal(count, 2);
    assert_list(store, NULL, "b/2*1 ");
    assert_ok(stele_dead_drop_in(store, DEAD(.route = "a"), &count, &error), error);
    assert_int_equal(count, 0);
    /* What was dropped and fails again is a new letter. */
    bury_new(store, "a", "1", "FAILED", 9);
    assert_list(store, NULL, "b/2*1 a/1*1 ");
    stele_store_close(store);
}

static void ORX44_requeued_letters_leave_the_list_until_they_fail_again(void **state)
{
    stele_store *store = open_store("memory:");
    uint64_t count = 0;
    size_t done = 0;
    const struct stele__dead_name handled = {"a", "2"};
    stele_error *error = NULL;

    (void)state;
    bury_new(store, "a", "1", "FAILED", 1);
    bury_new(store, "a", "2", "FAILED", 2);
    bury_new(store, "a", "3", "FAILED", 3);
    assert_ok(stele_dead_requeue_in(store, DEAD(.limit = 2), &count, &error), error);
    assert_int_equal(count, 2);
    assert_list(store, NULL, "a/3*1 ");
    assert_list(store, DEAD(.with_requeued = true), "a/1*1? a/2*1? a/3*1 ");
    bury_new(store, "a", "1", "FAILED", 4);
    assert_ok(stele__dead_write_marks(store, STELE__DEAD_HANDLED, &handled, 1, &done, &error), error);
    assert_list(store, DEAD(.with_requeued = true), "a/1*2 a/3*1 ");
    stele_store_close(store);
}

static void more_letters_than_fit_a_batch_are_marked(void **state)
{
    enum { LETTERS = 200 };
    stele_store *store = open_store("memory:");
    uint64_t count = 0;
    stele_error *error = NULL;

    (void)state;
    for (int i = 0; i < LETTERS; i++) {
        char id[16];

        snprintf(id, sizeof(id), "%d", i);
        bury_new(store, "a", id, "FAILED", i);
    }
    assert_ok(stele_dead_requeue_in(store, NULL, &count, &error), error);
    assert_int_equal(count, LETTERS);
    assert_int_equal(list(store, NULL).count, 0);
    assert_int_equal(list(store, DEAD(.with_requeued = true)).count, LETTERS);
    stele_store_close(store);
}

/* --- Foreign and damaged events ---------------------------------------------------------------- */

static void an_event_that_is_no_burial_is_passed_over(void **state)
{
    stele_store *store = open_store("memory:");
    stele_message *unknown = message("u", "stele.dead.exhumed");
    stele_message *malformed = message("m", "stele.dead.buried");
    const struct stele_write writes[] = {{"$dead", unknown}, {"$dead", malformed}};
    const struct stele_batch batch = {.writes = writes, .write_count = 2};
    stele_error *error = NULL;

    (void)state;
    bury_new(store, "a", "1", "FAILED", 1);
    assert_ok(stele__store_append_own(store, &batch, &error), error);
    bury_new(store, "a", "2", "FAILED", 2);
    assert_list(store, NULL, "a/1*1 a/2*1 ");
    stele_message_unref(unknown);
    stele_message_unref(malformed);
    stele_store_close(store);
}

static void folding_goes_on_where_it_was_left(void **state)
{
    stele_store *store = open_store("memory:");
    struct stele__yard yard;
    uint64_t version = 0;
    stele_error *error = NULL;

    (void)state;
    stele__yard_init(&yard);
    bury_new(store, "a", "1", "FAILED", 1);
    assert_ok(stele__dead_fold(store, &yard, &version, &error), error);
    assert_int_equal(version, 1);
    assert_int_equal(stele__yard_count(&yard), 1);
    assert_ok(stele__dead_fold(store, &yard, &version, &error), error);
    assert_int_equal(stele__yard_find(&yard, "a", "1")->letter.count, 1);
    bury_new(store, "a", "1", "FAILED", 2);
    bury_new(store, "a", "2", "FAILED", 3);
    assert_ok(stele__dead_fold(store, &yard, &version, &error), error);
    assert_int_equal(version, 3);
    assert_int_equal(stele__yard_find(&yard, "a", "1")->letter.count, 2);
    assert_int_equal(stele__yard_count(&yard), 2);
    stele__yard_fini(&yard);
    stele_store_close(store);
}

/* --- Memory -------------------------------------------------------------------------------------- */

static bool ignore(void *context, const struct stele_dead_letter *letter)
{
    (void)context;
    (void)letter;
    return true;
}

static stele_status list_all(void *context, stele_error **error)
{
    return stele_dead_list_in(context, NULL, ignore, NULL, error);
}

static void a_lack_of_memory_fails_a_list_and_nothing_else(void **state)
{
    stele_store *store = open_store("memory:");

    (void)state;
    bury_new(store, "a", "1", "FAILED", 1);
    bury_new(store, "b", "2", "FAILED", 2);
    /* A message that cannot be read for lack of memory is shown as absent, so the last rounds are silent. */
    assert_true(support_every_allocation_fails(list_all, store) > 0);
    assert_list(store, NULL, "a/1*1 b/2*1 ");
    stele_store_close(store);
}

static void a_burial_that_lacks_memory_is_not_written(void **state)
{
    stele_store *store = open_store("memory:");
    stele_message *dead = message("c-1", "order.placed");
    stele_error *error = NULL;

    (void)state;
    for (size_t n = 1;; n++) {
        stele_status status;

        support_fail_allocation(n);
        status = bury(store, "a", dead, "FAILED", 1, &error);
        support_fail_allocation(0);
        if (status == STELE_OK)
            break;
        assert_status(STELE_NO_MEMORY, status, error);
        assert_list(store, NULL, "");
    }
    assert_list(store, NULL, "a/c-1*1 ");
    stele_message_unref(dead);
    stele_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(ORX44_a_message_that_is_stored_is_kept_by_its_position),
        support_test(ORX44_any_other_message_is_kept_as_a_whole),
        support_test(an_event_of_another_type_with_the_same_id_is_another_message),
        support_test(ORX44_the_same_message_failing_there_again_raises_the_count),
        support_test(letters_are_chosen_by_all_members_of_a_query),
        support_test(dropped_letters_are_gone),
        support_test(ORX44_requeued_letters_leave_the_list_until_they_fail_again),
        support_test(more_letters_than_fit_a_batch_are_marked),
        support_test(an_event_that_is_no_burial_is_passed_over),
        support_test(folding_goes_on_where_it_was_left),
        support_test(a_lack_of_memory_fails_a_list_and_nothing_else),
        support_test(a_burial_that_lacks_memory_is_not_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
