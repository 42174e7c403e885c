/* Mailboxes: order, one letter in flight, capacity, pausing, closing, priorities. */
#include "tests/support/support.h"

#include "runtime/runtime.h"

#include <string.h>

enum { LOG_MAX = 4096 };

struct note {
    struct stele__letter letter;
    int number;
};

/* What was delivered, in order; written by one callback at a time. */
struct record {
    int numbers[LOG_MAX];
    size_t count;
};

struct box {
    struct stele__mailbox mailbox;
    struct record *record;
    void (*also)(struct box *box); /* inside the callback; may be NULL */
};

static void record_number(struct stele__mailbox *mailbox, struct stele__letter *letter)
{
    struct box *box = (struct box *)mailbox;

    box->record->numbers[box->record->count++] = ((struct note *)letter)->number;
    if (box->also)
        box->also(box);
}

static void open_box(struct box *box, stele_runtime *runtime, const char *name, int priority, size_t capacity,
                     struct record *record)
{
    memset(box, 0, sizeof(*box));
    assert_true(stele__mailbox_init(&box->mailbox, runtime, name, priority, capacity, record_number));
    box->record = record;
}

static void close_box(struct box *box)
{
    assert_null(stele__mailbox_close(&box->mailbox));
    assert_true(stele__mailbox_is_idle(&box->mailbox));
    stele__mailbox_fini(&box->mailbox);
}

static void assert_record(const struct record *record, const int *numbers, size_t count)
{
    assert_int_equal(record->count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(record->numbers[i], numbers[i]);
}

static stele_runtime *new_runtime(unsigned threads)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    assert_ok(stele_runtime_new(threads, NULL, &runtime, &error), error);
    return runtime;
}

static void number_notes(struct note *notes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        notes[i] = (struct note){{NULL}, (int)i};
}

static void send_all(struct box *box, struct note *notes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(stele__mailbox_send(&box->mailbox, &notes[i].letter), STELE__MAIL_TAKEN);
}

/* --- Order and flight ---------------------------------------------------------------------- */

static void letters_are_delivered_in_the_order_of_sending(void **state)
{
    stele_runtime *runtime = new_runtime(0);
    struct record record = {.count = 0};
    struct note notes[100];
    struct box box;

    (void)state;
    number_notes(notes, 100);
    open_box(&box, runtime, "box", 0, 0, &record);
    send_all(&box, notes, 100);
    assert_int_equal(stele__mailbox_count(&box.mailbox), 100);
    assert_int_equal(stele_runtime_run(runtime, 0), 100);
    assert_int_equal(record.count, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(record.numbers[i], i);
    assert_int_equal(box.mailbox.peak, 100);
    close_box(&box);
    stele_runtime_free(runtime);
}

static void a_step_is_one_letter(void **state)
{
    stele_runtime *runtime = new_runtime(0);
    struct record record = {.count = 0};
    struct note notes[3];
    struct box box;

    (void)state;
    number_notes(notes, 3);
    open_box(&box, runtime, "box", 0, 0, &record);
    send_all(&box, notes, 3);
    assert_int_equal(stele_runtime_run(runtime, 2), 2);
    assert_int_equal(record.count, 2);
    assert_false(stele__mailbox_is_idle(&box.mailbox));
    assert_int_equal(stele_runtime_run(runtime, 2), 1);
    assert_int_equal(stele_runtime_run(runtime, 2), 0);
    close_box(&box);
    stele_runtime_free(runtime);
}

enum { SENDERS = 8, EACH = 10000 };

struct flight {
    struct stele__mailbox mailbox;
    uint64_t delivered; /* without a lock */
    int last[SENDERS];
    bool in_order;
};

struct flight_letter {
    struct stele__letter letter;
    int sender;
    int number;
};

struct sender {
    struct flight *flight;
    struct flight_letter *letters;
    int number;
};

static void count_flight(struct stele__mailbox *mailbox, struct stele__letter *letter)
{
    struct flight *flight = (struct flight *)mailbox;
    const struct flight_letter *note = (const struct flight_letter *)letter;

    flight->delivered++;
    flight->in_order = flight->in_order && note->number == flight->last[note->sender] + 1;
    flight->last[note->sender] = note->number;
}

static void *send_flight(void *context)
{
    const struct sender *sender = context;

    for (int i = 0; i < EACH; i++) {
        sender->letters[i] = (struct flight_letter){{NULL}, sender->number, i};
        stele__mailbox_send(&sender->flight->mailbox, &sender->letters[i].letter);
    }
    return NULL;
}

static void FWK06_mailbox_single_flight_and_each_senders_order(void **state)
{
    stele_runtime *runtime = new_runtime(4);
    struct flight flight = {.in_order = true};
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];

    (void)state;
    for (int i = 0; i < SENDERS; i++)
        flight.last[i] = -1;
    assert_true(stele__mailbox_init(&flight.mailbox, runtime, "flight", 0, 0, count_flight));
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){&flight, test_malloc(EACH * sizeof(struct flight_letter)), i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_flight, &senders[i]), 0);
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    stele_runtime_run_until_idle(runtime);
    assert_true(stele__mailbox_is_idle(&flight.mailbox));
    assert_int_equal(flight.delivered, SENDERS * EACH);
    assert_true(flight.in_order);
    for (int i = 0; i < SENDERS; i++)
        test_free(senders[i].letters);
    stele__mailbox_fini(&flight.mailbox);
    stele_runtime_free(runtime);
}

/* --- Capacity ------------------------------------------------------------------------------ */

static void a_full_mailbox_refuses(void **state)
{
    stele_runtime *runtime = new_runtime(0);
    struct record record = {.count = 0};
    struct note notes[4];
    struct box box;

    (void)state;
    number_notes(notes, 4);
    open_box(&box, runtime, "box", 0, 2, &record);
    send_all(&box, notes, 2);
    assert_int_equal(stele__mailbox_send(&box.mailbox, &notes[2].letter), STELE__MAIL_FULL);
    assert_int_equal(stele__mailbox_force(&box.mailbox, &notes[3].letter), STELE__MAIL_TAKEN);
    assert_int_equal(stele__mailbox_count(&box.mailbox), 3);
    stele_runtime_run(runtime, 0);
    assert_record(&record, (const int[]){0, 1, 3}, 3);
    close_box(&box);
    stele_runtime_free(runtime);
}

static void a_full_mailbox_can_drop_its_oldest_letter(void **state)
{
    stele_runtime *runtime = new_runtime(0);
    struct record record = {.count = 0};
    struct stele__letter *dropped = NULL;
    struct note notes[4];
    struct box box;

    (void)state;
    number_notes(notes, 4);
    open_box(&box, runtime, "box", 0, 3, &record);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(stele__mailbox_send_dropping(&box.mailbox, &notes[i].letter, &dropped), STELE__MAIL_TAKEN);
        assert_null(dropped);
    }
    assert_int_equal(stele__mailbox_send_dropping(&box.mailbox, &notes[3].letter, &dropped), STELE__MAIL_TAKEN);
    assert_ptr_equal(dropped, &notes[0].letter);
    assert_int_equal(stele__mailbox_count(&box.mailbox), 3);
    stele_runtime_run(runtime, 0);
    assert_record(&record, (const int[]){1, 2, 3}, 3);
    close_box(&box);
    stele_runtime_free(runtime);
}

/* --- Pausing and closing --------------------------------------------------------------------- */

static void pause_box(struct box *box)
{
    stele__mailbox_pause(&box->mailbox);
}

static void NTH14_pause_resume_holds_letters_back_and_delivers_them_in_order(void **state)
{
    stele_runtime *runtime = new_runtime(0);
    struct record record = {.count = 0};
    struct note notes[5];
    struct box box;

    (void)state;
    number_notes(notes, 5);
    open_box(&box, runtime, "box", 0, 0, &record);
    send_all(&box, notes, 2);
    stele__mailbox_pause(&box.mailbox);
    send_all(&box, notes + 2, 2);
    assert_int_equal(stele_runtime_run(runtime, 0), 0);
    assert_int_equal(stele__mailbox_count(&box.mailbox), 4);
    stele__mailbox_resume(&box.mailbox);
    stele__mailbox_resume(&box.mailbox);
    send_all(&box, notes + 4, 1);
    assert_int_equal(stele_runtime_run(runtime, 0), 5);
    assert_record(&record, (const int[]){0, 1, 2, 3, 4}, 5);
    close_box(&box);
    stele_runtime_free(runtime);
}

static void NTH14_pause_resume_works_from_inside_the_callback(void **state)
{
    stele_runtime *runtime = new_runtime(1);
    struct record record = {.count = 0};
    struct note notes[3];
    struct box box;

    (void)state;
    number_notes(notes, 3);
    open_box(&box, runtime, "box", 0, 0, &record);
    box.also = pause_box;
    stele__mailbox_pause(&box.mailbox);
    send_all(&box, notes, 3);
    for (size_t i = 1; i <= 3; i++) {
        stele__mailbox_resume(&box.mailbox);
        stele_runtime_run_until_idle(runtime);
        assert_int_equal(record.count, i);
    }
    close_box(&box);
    stele_runtime_free(runtime);
}

static void closing_gives_back_what_waits(void **state)
{
    stele_runtime *runtime = new_runtime(0);
    struct record record = {.count = 0};
    struct stele__letter *letters;
    struct note notes[4];
    struct box box;

    (void)state;
    number_notes(notes, 4);
    open_box(&box, runtime, "box", 0, 0, &record);
    send_all(&box, notes, 3);
    assert_int_equal(stele_runtime_run(runtime, 1), 1);
    letters = stele__mailbox_close(&box.mailbox);
    assert_ptr_equal(letters, &notes[1].letter);
    assert_ptr_equal(letters->next, &notes[2].letter);
    assert_null(letters->next->next);
    assert_int_equal(stele__mailbox_send(&box.mailbox, &notes[3].letter), STELE__MAIL_CLOSED);
    assert_int_equal(stele__mailbox_force(&box.mailbox, &notes[3].letter), STELE__MAIL_CLOSED);
    assert_false(stele__mailbox_is_idle(&box.mailbox)); /* the runtime has it in its queue */
    assert_int_equal(stele_runtime_run(runtime, 0), 0);
    close_box(&box);
    stele_runtime_free(runtime);
}

static void close_in_flight(struct box *box)
{
    assert_non_null(stele__mailbox_close(&box->mailbox));
}

static void a_callback_may_close_its_own_mailbox(void **state)
{
    stele_runtime *runtime = new_runtime(0);
    struct record record = {.count = 0};
    struct note notes[3];
    struct box box;

    (void)state;
    number_notes(notes, 3);
    open_box(&box, runtime, "box", 0, 0, &record);
    box.also = close_in_flight;
    send_all(&box, notes, 3);
    assert_int_equal(stele_runtime_run(runtime, 0), 1);
    assert_record(&record, (const int[]){0}, 1);
    close_box(&box);
    stele_runtime_free(runtime);
}

/* --- Priorities: one worker, held at a gate while things become ready ------------------------ */

struct gate {
    struct stele__task task;
    pthread_mutex_t mutex;
};

static void pass_gate(struct stele__task *task)
{
    struct gate *gate = (struct gate *)task;

    pthread_mutex_lock(&gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}

static void shut(struct gate *gate, stele_runtime *runtime)
{
    *gate = (struct gate){.task = {.name = "gate", .priority = -1000, .run = pass_gate}};
    assert_int_equal(pthread_mutex_init(&gate->mutex, NULL), 0);
    pthread_mutex_lock(&gate->mutex);
    stele__runtime_post(runtime, &gate->task);
}

static void lift(struct gate *gate, stele_runtime *runtime)
{
    pthread_mutex_unlock(&gate->mutex);
    stele_runtime_run_until_idle(runtime);
    pthread_mutex_destroy(&gate->mutex);
}

/* Boxes of these priorities get their number as a letter; the order of delivery is expected. */
static void assert_order(const int *priorities, const int *expected, size_t count)
{
    stele_runtime *runtime = new_runtime(1);
    struct record record = {.count = 0};
    struct box *boxes = test_calloc(count, sizeof(*boxes));
    struct note *notes = test_calloc(count, sizeof(*notes));
    struct gate gate;

    number_notes(notes, count);
    for (size_t i = 0; i < count; i++)
        open_box(&boxes[i], runtime, "box", priorities[i], 0, &record);
    shut(&gate, runtime);
    for (size_t i = 0; i < count; i++)
        send_all(&boxes[i], &notes[i], 1);
    lift(&gate, runtime);
    assert_record(&record, expected, count);
    for (size_t i = 0; i < count; i++)
        close_box(&boxes[i]);
    test_free(boxes);
    test_free(notes);
    stele_runtime_free(runtime);
}

static void FWK08_lower_priority_numbers_run_first(void **state)
{
    (void)state;
    assert_order((const int[]){10, 0}, (const int[]){1, 0}, 2);
    assert_order((const int[]){5, -3, 100, 5, -3, 7}, (const int[]){1, 4, 0, 3, 5, 2}, 6);
}

static void FWK08_equal_priorities_run_in_order(void **state)
{
    (void)state;
    assert_order((const int[12]){0}, (const int[]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 12);
}

static void FWK07_one_worker_runs_the_same_way_each_time(void **state)
{
    const int priorities[] = {3, 1, 2, 3, 1, 2, 3, 1, 2};
    const int expected[] = {1, 4, 7, 2, 5, 8, 0, 3, 6};

    (void)state;
    for (int i = 0; i < 20; i++)
        assert_order(priorities, expected, 9);
}

static void a_long_queue_lets_others_have_their_turn(void **state)
{
    stele_runtime *runtime = new_runtime(1);
    struct record record = {.count = 0};
    struct note notes[1000];
    struct note other = {{NULL}, -1};
    struct box long_one, short_one;
    struct gate gate;

    (void)state;
    number_notes(notes, 1000);
    open_box(&long_one, runtime, "long", 0, 0, &record);
    open_box(&short_one, runtime, "short", 0, 0, &record);
    shut(&gate, runtime);
    send_all(&long_one, notes, 1000);
    send_all(&short_one, &other, 1);
    lift(&gate, runtime);
    assert_int_equal(record.count, 1001);
    assert_int_equal(record.numbers[32], -1);
    assert_int_equal(record.numbers[33], 32);
    close_box(&long_one);
    close_box(&short_one);
    stele_runtime_free(runtime);
}

static struct box *urgent_box;
static struct note urgent_note = {{NULL}, -1};

static void send_urgent(struct box *box)
{
    if (box->record->count == 3)
        stele__mailbox_send(&urgent_box->mailbox, &urgent_note.letter);
}

static void what_is_more_urgent_does_not_wait_for_the_rest_of_a_queue(void **state)
{
    stele_runtime *runtime = new_runtime(1);
    struct record record = {.count = 0};
    struct note notes[6];
    struct box low, high;

    (void)state;
    number_notes(notes, 6);
    open_box(&low, runtime, "low", 10, 0, &record);
    open_box(&high, runtime, "high", 1, 0, &record);
    urgent_box = &high;
    low.also = send_urgent;
    stele__mailbox_pause(&low.mailbox);
    send_all(&low, notes, 6);
    stele__mailbox_resume(&low.mailbox);
    stele_runtime_run_until_idle(runtime);
    assert_record(&record, (const int[]){0, 1, 2, -1, 3, 4, 5}, 7);
    close_box(&low);
    close_box(&high);
    stele_runtime_free(runtime);
}

static void an_idle_mailbox_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct stele__mailbox) <= 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(letters_are_delivered_in_the_order_of_sending),
        support_test(a_step_is_one_letter),
        support_test(FWK06_mailbox_single_flight_and_each_senders_order),
        support_test(a_full_mailbox_refuses),
        support_test(a_full_mailbox_can_drop_its_oldest_letter),
        support_test(NTH14_pause_resume_holds_letters_back_and_delivers_them_in_order),
        support_test(NTH14_pause_resume_works_from_inside_the_callback),
        support_test(closing_gives_back_what_waits),
        support_test(a_callback_may_close_its_own_mailbox),
        support_test(FWK08_lower_priority_numbers_run_first),
        support_test(FWK08_equal_priorities_run_in_order),
        support_test(FWK07_one_worker_runs_the_same_way_each_time),
        support_test(a_long_queue_lets_others_have_their_turn),
        support_test(what_is_more_urgent_does_not_wait_for_the_rest_of_a_queue),
        support_test(an_idle_mailbox_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
