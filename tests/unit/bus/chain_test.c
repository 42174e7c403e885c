/* Chains of interceptors, asked with calls made by hand. */
#include "tests/support/support.h"

#include <stele/log.h>

#include <stdlib.h>
#include <string.h>

#include "bus/chain.h"

#define MS INT64_C(1000000)

#define NOTED(FIELD, T) FIELD(T, TEXT, text)
STELE_DECLARE(noted, NOTED);
STELE_DEFINE_EVENT(noted, "chain.noted", 1, NOTED);

/* --- Interceptors that do as they are told ----------------------------------------------- */

enum { PROBES = 8 };

struct probe {
    char letter;
    struct stele_answer answer;
    const char *text; /* set as the answer's */
    size_t gives;     /* messages given before it answers */
    int64_t takes;    /* virtual time until it answers */
    bool notes;       /* counts in its note */
    unsigned asked;
    uint64_t noted; /* what its note said last */
};

static struct probe probes[PROBES];
static char asked[256]; /* letters of those asked; told ones with '.' for DONE, '!' for WITHDRAWN behind */
static stele_runtime *runtime;
static stele_bus *bus;
static stele_message *message;

static void remember(char letter, enum stele_point point)
{
    const size_t length = strlen(asked);

    asked[length] = letter;
    if (point == STELE_AT_DONE || point == STELE_AT_WITHDRAWN)
        asked[length + 1] = point == STELE_AT_DONE ? '.' : '!';
}

static struct stele_answer ask_probe(void *state, enum stele_point point, stele_call *call)
{
    struct probe *probe = state;

    probe->asked++;
    remember(probe->letter, point);
    if (probe->notes)
        probe->noted = (*stele_call_note(call))++;
    for (size_t i = 0; i < probe->gives; i++)
        stele_call_give(call, message);
    if (probe->takes)
        stele_runtime_advance(runtime, probe->takes);
    if (probe->text)
        stele_call_fail(call, STELE_REJECTED, "%s", probe->text);
    return probe->answer;
}

static stele_status make_probe(const void *settings, stele_bus *owner, void **state, stele_error **error)
{
    const size_t *index = settings;

    (void)owner;
    (void)error;
    *state = &probes[*index];
    return STELE_OK;
}

static const struct stele_interceptor_kind probe_kind = {.name = "probe",
                                                         .points = STELE_AT_PUBLISH | STELE_AT_HANDLE |
                                                                   STELE_AT_FAILED | STELE_AT_DONE | STELE_AT_WITHDRAWN,
                                                         .ask = ask_probe,
                                                         .make = make_probe};

static const size_t indexes[PROBES] = {0, 1, 2, 3, 4, 5, 6, 7};
static struct stele_interceptor interceptors[PROBES];
static struct stele__placed *places[PROBES];
static struct stele__chain chain;
static struct stele_call call;

/* The first `count` interceptors in their places, letters A, B, C ... in the order of adding. */
static void place(size_t count)
{
    chain = (struct stele__chain){.items = places, .count = count};
    for (size_t i = 0; i < count; i++) {
        stele_error *error = NULL;

        if (!interceptors[i].kind)
            interceptors[i].kind = &probe_kind;
        interceptors[i].name = "probe";
        interceptors[i].settings = &indexes[i];
        assert_ok(stele__placed_new(&interceptors[i], bus, i, &places[count - 1 - i], &error), error);
        chain.points |= interceptors[i].kind->points;
    }
    qsort(places, count, sizeof(places[0]), stele__placed_compare);
}

static struct stele_answer ask(enum stele_point point)
{
    asked[0] = '\0';
    memset(asked, 0, sizeof(asked));
    return stele__chain_ask(&chain, point, &call);
}

static int setup(void **state)
{
    const struct noted payload = {.text = "x"};
    static const struct stele_route route = {.name = "route", .on = ">"};

    support_setup(state);
    memset(asked, 0, sizeof(asked));
    memset(probes, 0, sizeof(probes));
    memset(interceptors, 0, sizeof(interceptors));
    memset(places, 0, sizeof(places));
    for (size_t i = 0; i < PROBES; i++)
        probes[i].letter = (char)('A' + i);
    if (stele_runtime_simulated(1, &runtime, NULL) != STELE_OK || stele_bus_new(runtime, NULL, &bus, NULL) != STELE_OK)
        return -1;
    if (noted_message(&payload, NULL, &message, NULL) != STELE_OK)
        return -1;
    stele__call_init(&call, bus, message, &route, INT64_MAX);
    return 0;
}

static int teardown(void **state)
{
    stele__call_fini(&call);
    for (size_t i = 0; i < PROBES; i++)
        stele__placed_unref(places[i]);
    stele_message_unref(message);
    stele_bus_free(bus);
    stele_runtime_free(runtime);
    return support_teardown(state);
}

#define chain_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* --- Order ----------------------------------------------------------------------------------- */

/* Bold, 5.2: a heap's array was walked as if it were sorted: these ran as 5, 20, 10, 50, 80, 90, 60. */
static void HEX14_priorities_are_honoured(void **state)
{
    static const int priorities[] = {50, 10, 90, 20, 80, 5, 60};

    (void)state;
    for (size_t i = 0; i < 7; i++)
        interceptors[i].priority = priorities[i];
    place(7);
    assert_int_equal(STELE_PROCEED, ask(STELE_AT_HANDLE).signal);
    assert_string_equal("FBDAGEC", asked);
}

static void HEX14_ties_are_asked_in_the_order_of_adding(void **state)
{
    (void)state;
    interceptors[3].priority = 99;
    place(6);
    ask(STELE_AT_HANDLE);
    assert_string_equal("DABCEF", asked);
}

static void HEX13_priority_is_that_of_the_kind_else_100(void **state)
{
    static struct stele_interceptor_kind kind;

    (void)state;
    kind = probe_kind;
    kind.priority = 30;
    interceptors[0].priority = 31;
    interceptors[1].kind = &kind;
    interceptors[3].priority = 101;
    place(4);
    ask(STELE_AT_HANDLE);
    assert_string_equal("BACD", asked);
}

static void HEX15_first_answer_is_final(void **state)
{
    struct stele_answer answer;

    (void)state;
    probes[1].answer = (struct stele_answer){STELE_FAIL, STELE_REJECTED, 0};
    probes[1].text = "not on Sundays";
    probes[2].answer = stele_skip();
    place(3);
    answer = ask(STELE_AT_PUBLISH);
    assert_int_equal(STELE_FAIL, answer.signal);
    assert_int_equal(STELE_REJECTED, answer.status);
    assert_string_equal("not on Sundays", stele__call_answer_text(&call));
    assert_ptr_equal(&interceptors[1], call.asked->interceptor);
    assert_string_equal("AB", asked);
}

static void HEX17_nobody_to_ask_and_all_proceeding_is_PROCEED(void **state)
{
    static const struct stele__chain empty = {0};

    (void)state;
    assert_int_equal(STELE_PROCEED, stele__chain_ask(&empty, STELE_AT_HANDLE, &call).signal);
    place(3);
    assert_int_equal(STELE_PROCEED, ask(STELE_AT_PUBLISH).signal);
    assert_int_equal(STELE_PROCEED, ask(STELE_AT_FAILED).signal);
    assert_string_equal("ABC", asked);
}

static void only_those_of_the_point_are_asked(void **state)
{
    static struct stele_interceptor_kind kind;

    (void)state;
    kind = probe_kind;
    kind.points = STELE_AT_FAILED;
    interceptors[1].kind = &kind;
    place(3);
    ask(STELE_AT_HANDLE);
    assert_string_equal("AC", asked);
    ask(STELE_AT_FAILED);
    assert_string_equal("ABC", asked);
}

/* --- Signals ----------------------------------------------------------------------------------- */

/* What the core sees of an answer with one message given: signal, and the status of failures. */
static void HEX16_each_signal_at_each_point(void **state)
{
    static const enum stele_point points[] = {STELE_AT_PUBLISH, STELE_AT_HANDLE, STELE_AT_FAILED};
    static const struct {
        enum stele_signal signal;
        enum stele_signal expected[3]; /* at PUBLISH, HANDLE, FAILED, of a critical one */
        stele_status status[3];
    } cases[] = {
        {STELE_PROCEED, {STELE_PROCEED, STELE_PROCEED, STELE_PROCEED}, {STELE_OK, STELE_OK, STELE_OK}},
        {STELE_SKIP, {STELE_SKIP, STELE_SKIP, STELE_SKIP}, {STELE_OK, STELE_OK, STELE_OK}},
        {STELE_RETRY_LATER, {STELE_FAIL, STELE_RETRY_LATER, STELE_RETRY_LATER}, {STELE_INVALID, STELE_OK, STELE_OK}},
        {STELE_FALLBACK, {STELE_FALLBACK, STELE_FALLBACK, STELE_FALLBACK}, {STELE_OK, STELE_OK, STELE_OK}},
        {STELE_FAIL, {STELE_FAIL, STELE_FAIL, STELE_FAIL}, {STELE_BUSY, STELE_BUSY, STELE_BUSY}},
        {STELE_ERROR, {STELE_FAIL, STELE_FAIL, STELE_FAIL}, {STELE_BUSY, STELE_BUSY, STELE_BUSY}},
        {(enum stele_signal)6, {STELE_FAIL, STELE_FAIL, STELE_FAIL}, {STELE_INVALID, STELE_INVALID, STELE_INVALID}},
    };

    (void)state;
    interceptors[0].critical = STELE_CRITICAL;
    probes[0].gives = 1;
    place(1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const bool fails = cases[i].signal == STELE_FAIL || cases[i].signal == STELE_ERROR;

        for (size_t p = 0; p < 3; p++) {
            struct stele_answer answer;

            probes[0].answer = (struct stele_answer){cases[i].signal, fails ? STELE_BUSY : STELE_OK, 5};
            answer = ask(points[p]);
            assert_int_equal(cases[i].expected[p], answer.signal);
            assert_int_equal(cases[i].status[p], answer.status);
            if (answer.signal == STELE_RETRY_LATER)
                assert_int_equal(5, answer.delay);
        }
    }
}

/* The same for one that is not critical: what is an error there is passed over, all else is final. */
static void HEX16_errors_of_others_are_passed_over_at_each_point(void **state)
{
    static const enum stele_point points[] = {STELE_AT_PUBLISH, STELE_AT_HANDLE, STELE_AT_FAILED};

    (void)state;
    place(2);
    probes[0].answer = (struct stele_answer){STELE_ERROR, STELE_IO, 0};
    probes[1].answer = stele_skip();
    for (size_t p = 0; p < 3; p++) {
        assert_int_equal(STELE_SKIP, ask(points[p]).signal);
        assert_string_equal(p == 1 ? "ABA!" : "AB", asked);
    }
    probes[0].answer = stele_retry_later(1);
    assert_int_equal(STELE_SKIP, ask(STELE_AT_PUBLISH).signal);
}

static void HEX18_below_50_is_critical(void **state)
{
    static const struct {
        int priority;
        enum stele_critical critical;
        enum stele_signal expected;
    } cases[] = {
        {49, STELE_CRITICAL_BY_PRIORITY, STELE_FAIL},
        {50, STELE_CRITICAL_BY_PRIORITY, STELE_PROCEED},
        {100, STELE_CRITICAL_BY_PRIORITY, STELE_PROCEED},
        {-1, STELE_CRITICAL_BY_PRIORITY, STELE_FAIL},
        {100, STELE_CRITICAL, STELE_FAIL},
        {49, STELE_NOT_CRITICAL, STELE_PROCEED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        interceptors[0].priority = cases[i].priority;
        interceptors[0].critical = cases[i].critical;
        place(1);
        probes[0].answer = (struct stele_answer){STELE_ERROR, STELE_IO, 0};
        assert_int_equal(cases[i].expected, ask(STELE_AT_HANDLE).signal);
        stele__placed_unref(places[0]);
        places[0] = NULL;
    }
}

static void HEX18_a_critical_error_has_name_status_and_text(void **state)
{
    struct stele_answer answer;

    (void)state;
    interceptors[0].critical = STELE_CRITICAL;
    place(1);
    probes[0].answer = (struct stele_answer){STELE_ERROR, STELE_IO, 0};
    probes[0].text = "the disk is gone";
    answer = ask(STELE_AT_HANDLE);
    assert_int_equal(STELE_IO, answer.status);
    assert_string_equal("interceptor probe: the disk is gone", stele__call_answer_text(&call));
    probes[0].text = NULL;
    ask(STELE_AT_HANDLE);
    assert_string_equal("interceptor probe: input/output error", stele__call_answer_text(&call));
}

static void HEX19_a_signal_that_does_not_exist_is_an_error_that_says_so(void **state)
{
    (void)state;
    interceptors[0].critical = STELE_CRITICAL;
    place(1);
    probes[0].answer.signal = (enum stele_signal)77;
    assert_int_equal(STELE_FAIL, ask(STELE_AT_FAILED).signal);
    assert_string_equal("interceptor probe: answered with a signal that does not exist (77)",
                        stele__call_answer_text(&call));
}

static void a_retry_at_PUBLISH_is_an_error_that_says_so(void **state)
{
    (void)state;
    interceptors[0].critical = STELE_CRITICAL;
    place(1);
    probes[0].answer = stele_retry_later(1);
    assert_int_equal(STELE_FAIL, ask(STELE_AT_PUBLISH).signal);
    assert_string_equal("interceptor probe: answered RETRY, which is not allowed at PUBLISH",
                        stele__call_answer_text(&call));
}

static void a_fallback_at_PUBLISH_is_exactly_one_message(void **state)
{
    (void)state;
    interceptors[0].critical = STELE_CRITICAL;
    place(1);
    probes[0].answer = stele_fallback();
    assert_int_equal(STELE_FAIL, ask(STELE_AT_PUBLISH).signal);
    probes[0].gives = 2;
    assert_int_equal(STELE_FAIL, ask(STELE_AT_PUBLISH).signal);
    probes[0].gives = 1;
    assert_int_equal(STELE_FALLBACK, ask(STELE_AT_PUBLISH).signal);
    assert_int_equal(1, call.given.count);
    probes[0].gives = 0;
    assert_int_equal(STELE_FALLBACK, ask(STELE_AT_HANDLE).signal);
    assert_int_equal(0, call.given.count);
}

static void failing_with_success_is_FAILED_and_a_negative_delay_is_none(void **state)
{
    (void)state;
    place(1);
    probes[0].answer = (struct stele_answer){STELE_FAIL, STELE_OK, 0};
    assert_int_equal(STELE_FAILED, ask(STELE_AT_HANDLE).status);
    probes[0].answer = stele_retry_later(-5);
    assert_int_equal(0, ask(STELE_AT_HANDLE).delay);
}

static void what_one_that_proceeds_left_behind_is_forgotten(void **state)
{
    (void)state;
    probes[0].gives = 3;
    probes[0].text = "never mind";
    probes[1].answer = stele_fallback();
    place(2);
    assert_int_equal(STELE_FALLBACK, ask(STELE_AT_HANDLE).signal);
    assert_int_equal(0, call.given.count);
    assert_string_equal("", stele__call_answer_text(&call));
}

static void messages_given_without_a_fallback_are_forgotten(void **state)
{
    (void)state;
    probes[0].gives = 2;
    probes[0].answer = stele_skip();
    place(1);
    assert_int_equal(STELE_SKIP, ask(STELE_AT_HANDLE).signal);
    assert_int_equal(0, call.given.count);
}

static unsigned logged;

static void count_record(void *context, const struct stele_log_record *record)
{
    (void)context;
    (void)record;
    logged++;
}

/* Once upon a time each veto was reported as if the handler had failed. */
static void only_errors_are_logged_a_veto_is_none(void **state)
{
    (void)state;
    logged = 0;
    place(1);
    stele_log_use(count_record, NULL, STELE_LOG_TRACE);
    probes[0].answer = (struct stele_answer){STELE_FAIL, STELE_REJECTED, 0};
    ask(STELE_AT_HANDLE);
    assert_int_equal(0, logged);
    probes[0].answer = (struct stele_answer){STELE_ERROR, STELE_IO, 0};
    ask(STELE_AT_HANDLE);
    stele_log_use(NULL, NULL, STELE_LOG_TRACE);
    assert_int_equal(1, logged);
}

/* --- Time limits ------------------------------------------------------------------------------------ */

static void B9_an_answer_in_time_counts(void **state)
{
    (void)state;
    interceptors[0].timeout_ms = 10;
    interceptors[0].critical = STELE_CRITICAL;
    probes[0].takes = 10 * MS;
    place(1);
    assert_int_equal(STELE_PROCEED, ask(STELE_AT_HANDLE).signal);
}

static void B9_an_answer_that_is_late_is_an_error(void **state)
{
    struct stele_answer answer;

    (void)state;
    interceptors[0].timeout_ms = 10;
    interceptors[0].critical = STELE_CRITICAL;
    probes[0].takes = 10 * MS + 1;
    place(1);
    answer = ask(STELE_AT_HANDLE);
    assert_int_equal(STELE_FAIL, answer.signal);
    assert_int_equal(STELE_TIMEOUT, answer.status);
    assert_string_equal("interceptor probe: took 10 ms to answer, its limit is 10 ms", stele__call_answer_text(&call));
    assert_string_equal("AA!", asked); /* it had let the call pass, so it learns that there was none */
}

static void B9_a_late_answer_of_one_that_is_not_critical_is_passed_over(void **state)
{
    (void)state;
    interceptors[0].timeout_ms = 10;
    probes[0].takes = 11 * MS;
    probes[0].answer = (struct stele_answer){STELE_FAIL, STELE_REJECTED, 0};
    place(2);
    assert_int_equal(STELE_PROCEED, ask(STELE_AT_HANDLE).signal);
    assert_string_equal("AB", asked);
}

/* --- What is told ------------------------------------------------------------------------------------- */

static void DONE_is_told_in_reverse_order(void **state)
{
    (void)state;
    place(3);
    ask(STELE_AT_HANDLE);
    stele__chain_tell(&chain, &call);
    assert_string_equal("ABCC.B.A.", asked);
}

static void those_that_let_a_call_pass_learn_that_another_kept_it(void **state)
{
    (void)state;
    place(4);
    probes[2].answer = stele_retry_later(1);
    ask(STELE_AT_HANDLE);
    assert_string_equal("ABCB!A!", asked);
    assert_ptr_equal(&interceptors[2], call.asked->interceptor);
    ask(STELE_AT_FAILED);
    assert_string_equal("ABC", asked);
}

static void all_learn_that_a_call_was_not_made_after_all(void **state)
{
    (void)state;
    place(2);
    ask(STELE_AT_HANDLE);
    stele__chain_withdraw(&chain, &call);
    assert_string_equal("ABB!A!", asked);
}

static void a_note_lasts_from_HANDLE_to_DONE(void **state)
{
    (void)state;
    probes[0].notes = probes[2].notes = true;
    place(3);
    for (int round = 0; round < 2; round++) {
        ask(STELE_AT_HANDLE);
        assert_int_equal(0, probes[0].noted);
        assert_int_equal(0, probes[2].noted);
        probes[2].notes = false;
        ask(STELE_AT_FAILED);
        assert_int_equal(1, probes[0].noted);
        probes[2].notes = true;
        stele__chain_tell(&chain, &call);
        assert_int_equal(2, probes[0].noted);
        assert_int_equal(1, probes[2].noted);
    }
}

static void a_note_begins_anew_when_the_call_was_kept(void **state)
{
    (void)state;
    probes[0].notes = true;
    probes[1].answer = stele_retry_later(1);
    place(2);
    ask(STELE_AT_HANDLE);
    assert_int_equal(1, probes[0].noted);
    probes[1].answer = stele_proceed();
    ask(STELE_AT_HANDLE);
    assert_int_equal(0, probes[0].noted);
}

static void telling_leaves_the_answer_alone(void **state)
{
    (void)state;
    probes[0].gives = 1;
    probes[0].text = "told you";
    probes[1].answer = (struct stele_answer){STELE_FAIL, STELE_REJECTED, 0};
    probes[1].text = "no";
    place(2);
    assert_int_equal(STELE_FAIL, ask(STELE_AT_HANDLE).signal);
    assert_string_equal("ABA!", asked);
    assert_string_equal("no", stele__call_answer_text(&call));
    assert_int_equal(0, call.given.count);
}

/* --- A call ---------------------------------------------------------------------------------------------- */

static void a_call_tells_what_it_is_about(void **state)
{
    stele_message *emitted[] = {message};

    (void)state;
    assert_ptr_equal(message, stele_call_message(&call));
    assert_ptr_equal(bus, stele_call_bus(&call));
    assert_string_equal("route", stele_call_route(&call)->name);
    assert_int_equal(1, stele_call_attempt(&call));
    assert_string_equal("", stele_call_text(&call));
    assert_null(stele_call_emitted(&call, 0));
    call.emitted = emitted;
    call.emitted_count = 1;
    assert_ptr_equal(message, stele_call_emitted(&call, 0));
    assert_null(stele_call_emitted(&call, 1));
}

static void a_deadline_only_becomes_earlier(void **state)
{
    (void)state;
    assert_true(stele_call_deadline(&call) == INT64_MAX);
    stele_call_set_deadline(&call, 100);
    stele_call_set_deadline(&call, 200);
    assert_int_equal(100, stele_call_deadline(&call));
    stele_call_set_deadline(&call, 50);
    assert_int_equal(50, stele_call_deadline(&call));
}

static void B9_a_call_whose_time_is_over_is_not_made(void **state)
{
    static const struct stele_deadline settings = {.timeout_ms = 20};
    struct stele_answer answer;
    int64_t now;

    (void)state;
    interceptors[0] = (struct stele_interceptor){.name = "deadline", STELE_DEADLINE(&settings)};
    chain = (struct stele__chain){.items = places, .count = 1, .points = STELE_AT_HANDLE};
    assert_int_equal(STELE_OK, stele__placed_new(&interceptors[0], bus, 0, &places[0], NULL));
    now = stele_call_time(&call);
    call.deadline = now + 1;
    assert_int_equal(STELE_PROCEED, ask(STELE_AT_HANDLE).signal);
    assert_int_equal(now + 1, call.deadline);
    call.deadline = now;
    answer = ask(STELE_AT_HANDLE);
    assert_int_equal(STELE_FAIL, answer.signal);
    assert_int_equal(STELE_TIMEOUT, answer.status);
    call.deadline = INT64_MAX;
    assert_int_equal(STELE_PROCEED, ask(STELE_AT_HANDLE).signal);
    assert_int_equal(now + 20 * MS, call.deadline);
}

static void random_numbers_are_those_of_the_simulation(void **state)
{
    stele_runtime *same = NULL;
    stele_error *error = NULL;
    uint64_t expected;

    (void)state;
    assert_ok(stele_runtime_simulated(1, &same, &error), error);
    expected = stele_runtime_random(same);
    assert_true(expected == stele_call_random(&call));
    stele_runtime_free(same);
}

static void giving_too_much_or_nothing_is_refused(void **state)
{
    (void)state;
    place(1);
    ask(STELE_AT_HANDLE);
    assert_int_equal(STELE_INVALID, stele_call_give(&call, NULL));
    for (int i = 0; i < STELE_EMISSIONS_MAX; i++)
        assert_int_equal(STELE_OK, stele_call_give(&call, message));
    assert_int_equal(STELE_LIMIT, stele_call_give(&call, message));
}

static void without_memory_a_call_still_answers(void **state)
{
    struct stele_answer answer;

    (void)state;
    interceptors[0].critical = STELE_CRITICAL;
    place(1);
    probes[0].answer = (struct stele_answer){STELE_ERROR, STELE_IO, 0};
    probes[0].text = "lost";
    probes[0].gives = 1;
    support_fail_allocations_from(1);
    answer = ask(STELE_AT_FAILED);
    assert_int_equal(STELE_NO_MEMORY, stele_call_give(&call, message));
    assert_null(stele_call_note(&call));
    support_fail_allocation(0);
    assert_int_equal(STELE_FAIL, answer.signal);
    assert_int_equal(STELE_IO, answer.status);
    assert_string_equal("", stele__call_answer_text(&call));
}

static struct stele_answer ask_nothing(void *state, enum stele_point point, stele_call *asked_about)
{
    (void)state;
    (void)point;
    (void)asked_about;
    return stele_proceed();
}

static void a_hundred_that_proceed_allocate_nothing(void **state)
{
    static const struct stele_interceptor_kind kind = {.name = "none", .points = STELE_AT_HANDLE, .ask = ask_nothing};
    static const struct stele_interceptor interceptor = {.name = "none", .kind = &kind};
    struct stele__placed *many[100];
    const struct stele__chain long_chain = {.items = many, .count = 100, .points = STELE_AT_HANDLE};
    stele_error *error = NULL;
    size_t before;

    (void)state;
    for (size_t i = 0; i < 100; i++)
        assert_ok(stele__placed_new(&interceptor, bus, i, &many[i], &error), error);
    before = support_allocations();
    assert_int_equal(STELE_PROCEED, stele__chain_ask(&long_chain, STELE_AT_HANDLE, &call).signal);
    stele__chain_tell(&long_chain, &call);
    assert_int_equal(before, support_allocations());
    for (size_t i = 0; i < 100; i++)
        stele__placed_unref(many[i]);
}

/* --- Places ------------------------------------------------------------------------------------------------ */

static void HEX13_what_is_wrong_with_an_interceptor_is_named(void **state)
{
    static const struct stele_interceptor_kind no_function = {.name = "k", .points = STELE_AT_HANDLE};
    static const struct stele_interceptor_kind no_points = {.name = "k", .ask = ask_nothing};
    static const struct stele_interceptor_kind odd_points = {.name = "k", .ask = ask_nothing, .points = 64};
    static const struct stele_retry bad_factor = {.factor = 0.1};
    static const struct {
        struct stele_interceptor interceptor;
        const char *text;
    } cases[] = {
        {{.kind = &probe_kind}, "interceptor"},
        {{.name = "", .kind = &probe_kind}, "interceptor"},
        {{.name = "n", .kind = &probe_kind, .on = "a..b"}, "interceptor n: "},
        {{.name = "n", .kind = &probe_kind, .on = ">.a"}, "interceptor n: "},
        {{.name = "n"}, "interceptor n: it has no kind"},
        {{.name = "n", .kind = &no_function}, "interceptor n: its kind has no function"},
        {{.name = "n", .kind = &no_points}, "interceptor n: its kind has no points"},
        {{.name = "n", .kind = &odd_points}, "interceptor n: its kind has points that do not exist (0x40)"},
        {{.name = "n", .kind = &probe_kind, .critical = (enum stele_critical)3}, "interceptor n: critical: is 3"},
        {{.name = "n", STELE_RETRY(&bad_factor)}, "interceptor n: factor: must be a number of at least 1"},
    };
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stele__placed *placed = NULL;

        assert_failure(STELE_INVALID, stele__placed_new(&cases[i].interceptor, bus, 0, &placed, &error), error);
        assert_message(error, cases[i].text);
        stele_error_free(error);
        error = NULL;
        assert_null(placed);
    }
    assert_status(STELE_INVALID, stele__placed_new(NULL, bus, 0, &places[0], &error), error);
}

/* Each stock kind names the setting that is missing or out of range. */
static void HEX25_settings_of_stock_kinds_are_checked(void **state)
{
    static const struct stele_deadline no_time = {0};
    static const struct stele_rate_limit no_rate = {.burst = 3};
    static const struct stele_authorisation no_predicate = {0};
    static const struct stele_skip_flag no_flag = {0};
    static const struct noted empty_payload = {0};
    static const struct stele_fallback_value no_type = {.payload = &empty_payload};
    static const struct stele_fallback_value no_payload = {.type = &noted_type};
    static const struct stele_fallback_value bad_payload = {.type = &noted_type, .payload = &empty_payload};
    static const struct stele_concurrency_limit no_limit = {0};
    static const struct stele_memo no_name = {.version = 1};
    static const struct stele_memo no_version = {.name = "m"};
    static const struct {
        struct stele_interceptor interceptor;
        const char *text;
    } cases[] = {
        {{.name = "n", STELE_DEADLINE(&no_time)}, "interceptor n: timeout_ms"},
        {{.name = "n", STELE_DEADLINE(NULL)}, "interceptor n: timeout_ms"},
        {{.name = "n", STELE_RATE_LIMIT(&no_rate)}, "interceptor n: per_second"},
        {{.name = "n", STELE_AUTHORISATION(&no_predicate)}, "interceptor n: allows"},
        {{.name = "n", STELE_SKIP_BY_FLAG(&no_flag)}, "interceptor n: flag"},
        {{.name = "n", STELE_FALLBACK_VALUE(&no_type)}, "interceptor n: type"},
        {{.name = "n", STELE_FALLBACK_VALUE(&no_payload)}, "interceptor n: payload"},
        {{.name = "n", STELE_FALLBACK_VALUE(&bad_payload)}, "interceptor n: payload: "},
        {{.name = "n", STELE_CONCURRENCY_LIMIT(&no_limit)}, "interceptor n: limit"},
        {{.name = "n", STELE_MEMO(&no_name)}, "interceptor n: name"},
        {{.name = "n", STELE_MEMO(&no_version)}, "interceptor n: version"},
    };
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stele__placed *placed = NULL;

        assert_failure(STELE_INVALID, stele__placed_new(&cases[i].interceptor, bus, 0, &placed, &error), error);
        assert_message(error, cases[i].text);
        assert_string_equal("n", stele_error_get(error, "interceptor"));
        stele_error_free(error);
        error = NULL;
    }
}

static stele_status place_each_kind(void *context, stele_error **error)
{
    static const struct stele_rate_limit rate = {.per_second = 5};
    static const struct stele_concurrency_limit limit = {.limit = 2};
    static const struct stele_memo memo = {.name = "m", .version = 1};
    static const struct stele_interceptor each[] = {
        {.name = "breaker", STELE_BREAKER(NULL)},
        {.name = "rate", STELE_RATE_LIMIT(&rate)},
        {.name = "limit", STELE_CONCURRENCY_LIMIT(&limit)},
        {.name = "memo", STELE_MEMO(&memo)},
        {.name = "retry", STELE_RETRY(NULL)},
    };
    stele_status status = STELE_OK;

    (void)context;
    for (size_t i = 0; i < sizeof(each) / sizeof(each[0]) && status == STELE_OK; i++) {
        struct stele__placed *placed = NULL;

        status = stele__placed_new(&each[i], bus, i, &placed, error);
        stele__placed_unref(placed);
    }
    return status;
}

static void every_allocation_of_a_place_may_fail(void **state)
{
    static const struct stele_memo memo = {.name = "that makes the bus keep a table of names", .version = 1};
    static const struct stele_interceptor first = {.name = "first", STELE_MEMO(&memo)};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__placed_new(&first, bus, 0, &places[0], &error), error);
    assert_int_not_equal(0, support_every_allocation_fails(place_each_kind, NULL));
}

static void FWK20_two_memos_of_one_name_and_version_are_refused(void **state)
{
    static const struct stele_memo first = {.name = "quotes", .version = 1};
    static const struct stele_memo second = {.name = "quotes", .version = 2};
    static const struct stele_interceptor one = {.name = "one", STELE_MEMO(&first)};
    static const struct stele_interceptor same = {.name = "same", STELE_MEMO(&first)};
    static const struct stele_interceptor other = {.name = "other", STELE_MEMO(&second)};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__placed_new(&one, bus, 0, &places[0], &error), error);
    assert_failure(STELE_INVALID, stele__placed_new(&same, bus, 1, &places[1], &error), error);
    assert_message(error, "quotes 1");
    stele_error_free(error);
    error = NULL;
    assert_ok(stele__placed_new(&other, bus, 1, &places[1], &error), error);
    stele__placed_unref(places[0]);
    places[0] = NULL;
    assert_ok(stele__placed_new(&same, bus, 2, &places[0], &error), error);
}

static void a_state_is_freed_with_the_last_reference(void **state)
{
    struct stele__placed *reference;

    (void)state;
    place(1);
    reference = stele__placed_ref(places[0]);
    stele__placed_unref(places[0]);
    places[0] = reference;
    assert_int_equal(STELE_PROCEED, ask(STELE_AT_HANDLE).signal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        chain_test(HEX14_priorities_are_honoured),
        chain_test(HEX14_ties_are_asked_in_the_order_of_adding),
        chain_test(HEX13_priority_is_that_of_the_kind_else_100),
        chain_test(HEX15_first_answer_is_final),
        chain_test(HEX17_nobody_to_ask_and_all_proceeding_is_PROCEED),
        chain_test(only_those_of_the_point_are_asked),
        chain_test(HEX16_each_signal_at_each_point),
        chain_test(HEX16_errors_of_others_are_passed_over_at_each_point),
        chain_test(HEX18_below_50_is_critical),
        chain_test(HEX18_a_critical_error_has_name_status_and_text),
        chain_test(HEX19_a_signal_that_does_not_exist_is_an_error_that_says_so),
        chain_test(a_retry_at_PUBLISH_is_an_error_that_says_so),
        chain_test(a_fallback_at_PUBLISH_is_exactly_one_message),
        chain_test(failing_with_success_is_FAILED_and_a_negative_delay_is_none),
        chain_test(what_one_that_proceeds_left_behind_is_forgotten),
        chain_test(messages_given_without_a_fallback_are_forgotten),
        chain_test(only_errors_are_logged_a_veto_is_none),
        chain_test(B9_an_answer_in_time_counts),
        chain_test(B9_an_answer_that_is_late_is_an_error),
        chain_test(B9_a_late_answer_of_one_that_is_not_critical_is_passed_over),
        chain_test(DONE_is_told_in_reverse_order),
        chain_test(those_that_let_a_call_pass_learn_that_another_kept_it),
        chain_test(all_learn_that_a_call_was_not_made_after_all),
        chain_test(a_note_lasts_from_HANDLE_to_DONE),
        chain_test(a_note_begins_anew_when_the_call_was_kept),
        chain_test(telling_leaves_the_answer_alone),
        chain_test(a_call_tells_what_it_is_about),
        chain_test(a_deadline_only_becomes_earlier),
        chain_test(B9_a_call_whose_time_is_over_is_not_made),
        chain_test(random_numbers_are_those_of_the_simulation),
        chain_test(giving_too_much_or_nothing_is_refused),
        chain_test(without_memory_a_call_still_answers),
        chain_test(a_hundred_that_proceed_allocate_nothing),
        chain_test(HEX13_what_is_wrong_with_an_interceptor_is_named),
        chain_test(HEX25_settings_of_stock_kinds_are_checked),
        chain_test(every_allocation_of_a_place_may_fail),
        chain_test(FWK20_two_memos_of_one_name_and_version_are_refused),
        chain_test(a_state_is_freed_with_the_last_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
