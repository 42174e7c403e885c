/* Dead letters of a store, a page at a time: whatever the size of a page, the letters are the same (ORX-44). */
#include "tests/support/support.h"

#include <stele/deadletters.h>

#include "store/dead_walk.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 4096 };

static stele_store *open_store(void)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    assert_ok(stele_store_open("memory:", NULL, &store, &error), error);
    return store;
}

/* Of a message that is said to be at position 1: nobody reads it here. */
static void bury(stele_store *store, const char *route, const char *id, const char *code)
{
    const struct stele__burial burial = {
        .route = route, .id = id, .type = "t.t", .code = code, .text = "", .attempts = 1, .position = 1, .time = 1};
    stele_error *error = NULL;

    assert_ok(stele__dead_write_burial(store, &burial, NULL, &error), error);
}

static void mark(stele_store *store, enum stele__dead_mark what, const char *route, const char *id)
{
    const struct stele__dead_name name = {route, id};
    size_t done = 0;
    stele_error *error = NULL;

    assert_ok(stele__dead_write_marks(store, what, &name, 1, &done, &error), error);
}

static void add(char text[TEXT_MAX], const char *route, const char *id, int count, bool is_requeued)
{
    const size_t used = strlen(text);

    snprintf(text + used, TEXT_MAX - used, "%s%s*%d%s ", route, id, count, is_requeued ? "?" : "");
}

/* All letters of a walk; "| " where a page is turned to one that has some. */
static void walk_all(stele_store *store, const struct stele_dead_query *query, size_t at_once, bool shows_pages,
                     char text[TEXT_MAX])
{
    struct stele__dead_walk walk;
    stele_error *error = NULL;
    stele_status status = stele__dead_walk_begin(&walk, store, query, at_once, &error);

    text[0] = '\0';
    while (status == STELE_OK) {
        const struct stele__grave *grave;

        assert_true(walk.yard.graves.count <= at_once);
        while ((grave = stele__dead_walk_on(&walk)) != NULL)
            add(text, grave->letter.route, grave->letter.id, (int)grave->letter.count, grave->letter.is_requeued);
        status = stele__dead_walk_turn(&walk, &error);
        if (status == STELE_OK && shows_pages)
            strcat(text, "| ");
    }
    assert_int_equal(status, STELE_END);
    stele__dead_walk_end(&walk);
}

#define DEAD(...) (&(const struct stele_dead_query){.size = sizeof(struct stele_dead_query), __VA_ARGS__})

static void assert_walk(stele_store *store, const struct stele_dead_query *query, size_t at_once, const char *expected)
{
    char text[TEXT_MAX];

    walk_all(store, query, at_once, true, text);
    assert_string_equal(text, expected);
}

/* --- By hand ---------------------------------------------------------------------------------- */

static void ORX44_letters_come_in_pages_oldest_first(void **state)
{
    stele_store *store = open_store();

    (void)state;
    assert_walk(store, NULL, 2, "");
    bury(store, "a", "1", "FAILED");
    bury(store, "a", "2", "FAILED");
    assert_walk(store, NULL, 2, "a1*1 a2*1 ");
    bury(store, "a", "3", "FAILED");
    bury(store, "b", "4", "TIMEOUT");
    bury(store, "a", "5", "FAILED");
    assert_walk(store, NULL, 2, "a1*1 a2*1 | a3*1 b4*1 | a5*1 ");
    assert_walk(store, NULL, 5, "a1*1 a2*1 a3*1 b4*1 a5*1 ");
    assert_walk(store, DEAD(.limit = 3), 2, "a1*1 a2*1 | a3*1 ");
    assert_walk(store, DEAD(.limit = 2), 2, "a1*1 a2*1 ");
    /* What another route has, and what has another id, takes no room. */
    assert_walk(store, DEAD(.route = "a"), 2, "a1*1 a2*1 | a3*1 a5*1 ");
    assert_walk(store, DEAD(.id = "4"), 1, "b4*1 ");
    assert_walk(store, DEAD(.code = "TIMEOUT"), 2, "| b4*1 | ");
    stele_store_close(store);
}

static void a_letter_of_an_earlier_page_is_not_met_again(void **state)
{
    stele_store *store = open_store();

    (void)state;
    bury(store, "a", "1", "FAILED");
    bury(store, "a", "2", "FAILED");
    bury(store, "a", "3", "FAILED");
    bury(store, "a", "1", "TIMEOUT");
    mark(store, STELE__DEAD_REQUEUED, "a", "2");
    bury(store, "a", "2", "TIMEOUT");
    bury(store, "a", "3", "TIMEOUT");
    assert_walk(store, NULL, 1, "a1*2 | a2*2 | a3*2 ");
    stele_store_close(store);
}

static void a_letter_that_was_dropped_and_buried_anew_comes_where_it_was_buried_anew(void **state)
{
    stele_store *store = open_store();

    (void)state;
    bury(store, "a", "1", "FAILED");
    bury(store, "a", "2", "FAILED");
    bury(store, "a", "1", "FAILED");
    mark(store, STELE__DEAD_DROPPED, "a", "1");
    bury(store, "a", "1", "FAILED");
    assert_walk(store, NULL, 1, "| a2*1 | a1*1 ");
    assert_walk(store, NULL, 3, "a2*1 a1*1 ");
    stele_store_close(store);
}

static void what_is_written_meanwhile_is_not_for_later_pages(void **state)
{
    stele_store *store = open_store();
    struct stele__dead_walk walk;
    stele_error *error = NULL;

    (void)state;
    bury(store, "a", "1", "FAILED");
    bury(store, "a", "2", "FAILED");
    assert_ok(stele__dead_walk_begin(&walk, store, NULL, 1, &error), error);
    assert_string_equal(stele__dead_walk_on(&walk)->letter.id, "1");
    assert_null(stele__dead_walk_on(&walk));
    bury(store, "a", "1", "FAILED");
    bury(store, "a", "3", "FAILED");
    mark(store, STELE__DEAD_DROPPED, "a", "2");
    assert_ok(stele__dead_walk_turn(&walk, &error), error);
    assert_string_equal(stele__dead_walk_on(&walk)->letter.id, "2");
    assert_null(stele__dead_walk_on(&walk));
    assert_int_equal(stele__dead_walk_turn(&walk, &error), STELE_END);
    stele__dead_walk_end(&walk);
    stele_store_close(store);
}

/* --- By chance -------------------------------------------------------------------------------- */

enum { ROUTES = 2, IDS = 12, STEPS = 150 };

static const char *const routes[ROUTES] = {"a", "b"};

/* What there should be: letters in order of their first burial. */
struct model {
    struct model_letter {
        unsigned route, id;
        int count;
        bool is_requeued;
    } letters[ROUTES * IDS];
    size_t count;
};

static struct model_letter *find(struct model *model, unsigned route, unsigned id)
{
    for (size_t i = 0; i < model->count; i++)
        if (model->letters[i].route == route && model->letters[i].id == id)
            return &model->letters[i];
    return NULL;
}

static void take_burial(struct model *model, unsigned route, unsigned id)
{
    struct model_letter *letter = find(model, route, id);

    if (!letter) {
        letter = &model->letters[model->count++];
        *letter = (struct model_letter){.route = route, .id = id};
    }
    letter->count++;
    letter->is_requeued = false;
}

static void take_drop(struct model *model, struct model_letter *letter)
{
    const size_t behind = (size_t)(model->letters + model->count - (letter + 1));

    memmove(letter, letter + 1, behind * sizeof(*letter));
    model->count--;
}

static void step(stele_store *store, struct model *model, struct support_random *random)
{
    const unsigned route = (unsigned)support_random_below(random, ROUTES);
    const unsigned id = (unsigned)support_random_below(random, IDS);
    const unsigned what = (unsigned)support_random_below(random, 5);
    struct model_letter *letter = find(model, route, id);
    char text[8];

    snprintf(text, sizeof(text), "%u", id);
    if (what < 3) {
        bury(store, routes[route], text, "FAILED");
        take_burial(model, route, id);
    } else if (what == 3) {
        mark(store, STELE__DEAD_REQUEUED, routes[route], text);
        if (letter)
            letter->is_requeued = true;
    } else {
        mark(store, STELE__DEAD_DROPPED, routes[route], text);
        if (letter)
            take_drop(model, letter);
    }
}

static void tell(const struct model *model, char text[TEXT_MAX])
{
    text[0] = '\0';
    for (size_t i = 0; i < model->count; i++) {
        const struct model_letter *letter = &model->letters[i];
        char id[8];

        snprintf(id, sizeof(id), "%u", letter->id);
        add(text, routes[letter->route], id, letter->count, letter->is_requeued);
    }
}

static void letters_are_the_same_whatever_the_size_of_a_page(void **state)
{
    struct support_random random = support_seed();

    (void)state;
    for (int round = 0; round < 20; round++) {
        stele_store *store = open_store();
        struct model model = {.count = 0};
        char expected[TEXT_MAX], text[TEXT_MAX];

        for (int i = 0; i < STEPS; i++)
            step(store, &model, &random);
        tell(&model, expected);
        for (size_t at_once = 1; at_once <= 7; at_once += 2) {
            walk_all(store, DEAD(.with_requeued = true), at_once, false, text);
            assert_string_equal(text, expected);
        }
        stele_store_close(store);
    }
}

/* --- Memory ----------------------------------------------------------------------------------- */

static stele_status walk_in_pages(void *context, stele_error **error)
{
    struct stele__dead_walk walk;
    stele_status status = stele__dead_walk_begin(&walk, context, NULL, 1, error);

    while (status == STELE_OK)
        status = stele__dead_walk_turn(&walk, error);
    stele__dead_walk_end(&walk);
    return status == STELE_END ? STELE_OK : status;
}

static void a_lack_of_memory_fails_a_walk_and_nothing_else(void **state)
{
    stele_store *store = open_store();

    (void)state;
    bury(store, "a", "1", "FAILED");
    bury(store, "a", "2", "FAILED");
    bury(store, "a", "1", "FAILED");
    assert_true(support_every_allocation_fails(walk_in_pages, store) > 0);
    assert_walk(store, NULL, 1, "a1*2 | a2*1 ");
    stele_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(ORX44_letters_come_in_pages_oldest_first),
        support_test(a_letter_of_an_earlier_page_is_not_met_again),
        support_test(a_letter_that_was_dropped_and_buried_anew_comes_where_it_was_buried_anew),
        support_test(what_is_written_meanwhile_is_not_for_later_pages),
        support_test(letters_are_the_same_whatever_the_size_of_a_page),
        support_test(a_lack_of_memory_fails_a_walk_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
