/* The book of a world with a log, see log_model.h. */
#include "tests/sim/log_model.h"

#include <stele/deadletters.h>
#include <stele/intercept.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct log_book book;

/* What is drawn of a thing. */
enum {
    LOT_NODE,
    LOT_TYPE,
    LOT_PARTITION,
    LOT_RETRY,
    LOT_POLICY,
    LOT_APPEND,
    LOT_POISON,
    LOT_STUMBLE,
    LOT_NAP,
    LOT_MORE
};

static uint64_t lot_of(int what, const struct log_node *node, int64_t number, uint64_t limit)
{
    return sim_draw((uint64_t)what, (uint64_t)number * LOG_NODES + (uint64_t)(node - book.nodes), limit);
}

/* --- Nodes and facts ------------------------------------------------------------------------- */

static void draw_node(struct log_node *node, size_t index)
{
    static const enum stele_failure_policy policies[] = {STELE_BURY, STELE_BURY, STELE_IGNORE, STELE_SUSPEND};

    snprintf(node->name, sizeof(node->name), "node-%zu", index);
    node->type = (size_t)lot_of(LOT_TYPE, node, 0, SIM_TYPES + 1);
    node->is_durable = index == 0 || lot_of(LOT_NODE, node, 0, 3) > 0;
    node->is_partitioned = lot_of(LOT_PARTITION, node, 0, 3) == 0;
    node->retries = lot_of(LOT_RETRY, node, 0, 2) == 0;
    node->appends = lot_of(LOT_APPEND, node, 0, 3) == 0;
    node->policy = policies[lot_of(LOT_POLICY, node, 0, 4)];
}

void log_draw(void)
{
    memset(&book, 0, sizeof(book));
    book.fact_count = 1;
    book.node_count = 1 + (size_t)sim_next(LOG_NODES);
    for (size_t i = 0; i < book.node_count; i++)
        draw_node(&book.nodes[i], i);
}

int64_t log_fact_new(size_t type, int64_t key, unsigned depth, const char *id)
{
    struct log_fact *fact = &book.facts[book.fact_count];

    if (book.fact_count == LOG_FACTS)
        abort();
    *fact = (struct log_fact){.type = type, .key = key, .depth = depth};
    snprintf(fact->id, sizeof(fact->id), "%s", id);
    return book.fact_count++;
}

stele_message *log_fact_message(int64_t number)
{
    const struct log_fact *fact = &book.facts[number];

    return sim_message(fact->type, number, fact->key, fact->id);
}

bool log_wants(const struct log_node *node, int64_t number)
{
    return node->type == SIM_TYPES || node->type == book.facts[number].type;
}

bool log_is_poison(const struct log_node *node, int64_t number)
{
    return !node->is_healed[number] && lot_of(LOT_POISON, node, number, 10) == 0;
}

/* --- A handler ---------------------------------------------------------------------------------- */

static void check_begin(struct log_seat *seat, int64_t number, const stele_message *message, unsigned attempt)
{
    const struct log_node *node = seat->node;
    struct log_fact *fact = &book.facts[number];
    const uint64_t position = stele_message_position(message);
    const int64_t box = node->is_partitioned ? fact->key : 0;

    sim_expect(!fact->position || fact->position == position, "%s: fact %d is at two positions", node->name,
               (int)number);
    fact->position = position;
    sim_expect(!seat->stops, "%s was called behind its stop", node->name);
    sim_expect(log_wants(node, number), "%s was given what it does not want", node->name);
    sim_expect(!seat->is_running[box], "%s: two of one mailbox were in flight", node->name);
    if (node->requeued[number])
        return;
    sim_expect(position > seat->began, "%s was given %" PRIu64 " again, it began behind %" PRIu64, node->name, position,
               seat->began);
    sim_expect(seat->ended[number] == 0, "%s was given %" PRIu64 " twice", node->name, position);
    sim_expect(attempt > 1 || node->policy == STELE_SUSPEND || position > seat->last[box],
               "%s: %" PRIu64 " came behind %" PRIu64, node->name, position, seat->last[box]);
    seat->last[box] = position;
}

/* Store what follows, under an id that follows: a repetition changes nothing. */
static void store_more(struct log_node *node, int64_t number)
{
    const struct log_fact *fact = &book.facts[number];
    struct stele_appended appended;
    stele_message *message;
    char id[32];
    uint64_t known;

    if (!node->appends || fact->depth > 1 || lot_of(LOT_MORE, node, number, 3) > 0)
        return;
    snprintf(id, sizeof(id), "%.8s-%d", node->name, (int)number);
    if (!node->derived[number] && book.fact_count < LOG_FACTS)
        node->derived[number] =
            log_fact_new((size_t)lot_of(LOT_MORE + 1, node, number, SIM_TYPES),
                         (int64_t)lot_of(LOT_MORE + 2, node, number, SIM_KEYS), fact->depth + 1, id);
    if (!node->derived[number])
        return;
    known = book.facts[node->derived[number]].position;
    message = log_fact_message(node->derived[number]);
    if (stele_append(disk.store, "derived", stele_expect_any(), message, &appended, NULL) == STELE_OK) {
        sim_expect(!known || (appended.repeated && appended.first_position == known), "an effect came twice");
        book.facts[node->derived[number]].position = appended.first_position;
    } else {
        sim_expect(disk.is_cut, "an effect could not be stored");
    }
    stele_message_unref(message);
}

static bool is_failing(const struct log_node *node, int64_t number, unsigned attempt)
{
    return log_is_poison(node, number) || (node->retries && attempt == 1 && lot_of(LOT_STUMBLE, node, number, 6) == 0);
}

/* Whether a failure is the last one: of a route that was removed it is, unless it suspends. */
static bool is_final(const struct log_seat *seat, unsigned attempt)
{
    const struct log_node *node = seat->node;

    return node->policy != STELE_SUSPEND && (seat->is_gone || !node->retries || attempt == LOG_ATTEMPTS);
}

static stele_status decide(struct log_seat *seat, int64_t number, stele_context *context)
{
    struct log_node *node = seat->node;
    const unsigned attempt = stele_context_attempt(context);
    const bool fails = is_failing(node, number, attempt);

    if (fails && !is_final(seat, attempt))
        return STELE_TIMEOUT;
    if (!fails)
        store_more(node, number);
    if (disk.is_cut)
        return STELE_FAILED;
    /* Handled well behind a failure: its letter is gone if it was requeued. */
    node->is_dropped[number] = node->is_dropped[number] || (!fails && node->has_failed[number]);
    node->has_failed[number] = node->has_failed[number] || fails;
    node->is_healed[number] = node->is_healed[number] && !fails;
    seat->ended[number]++;
    node->has_ended[number] = true;
    sim_expect(seat->ended[number] <= 1 + 2 * node->requeued[number], "%s ended fact %d too often", node->name,
               (int)number);
    return fails ? STELE_TIMEOUT : STELE_OK;
}

/* In a process that is dying nothing counts any more. */
static stele_status handle(void *resource, const stele_message *message, stele_context *context)
{
    struct log_seat *seat = resource;
    struct sim_step step;
    stele_status status;
    bool *is_running;

    if (disk.is_cut || !sim_read(message, context, &step))
        return STELE_FAILED;
    is_running = &seat->is_running[seat->node->is_partitioned ? step.key : 0];
    sim_note("%s handles %d of key %d, attempt %u", seat->node->name, (int)step.number, (int)step.key,
             stele_context_attempt(context));
    check_begin(seat, step.number, message, stele_context_attempt(context));
    *is_running = true;
    if (lot_of(LOT_NAP, seat->node, step.number, 4) == 0)
        sim_sleep((int64_t)lot_of(LOT_NAP + 100, seat->node, step.number, 30) * SIM_MS);
    if (disk.is_cut || seat->life != book.life)
        return STELE_FAILED;
    status = decide(seat, step.number, context);
    *is_running = false;
    sim_note("%s ends %d: %s", seat->node->name, (int)step.number, stele_status_name(status));
    return status;
}

static void note_stop(void *resource)
{
    struct log_seat *seat = resource;

    seat->stops++;
    sim_expect(seat->stops == 1, "%s was stopped twice", seat->node->name);
}

static const struct stele_retry retry_settings = {.max_attempts = LOG_ATTEMPTS, .delay_ms = 5};
static const struct stele_interceptor retry = {.name = "retry", STELE_RETRY(&retry_settings)};
static const struct stele_interceptor *const retrying[] = {&retry, NULL};

struct log_seat *log_seat_new(struct log_node *node)
{
    struct log_seat *seat = &book.seats[book.seat_count++];

    if (book.seat_count == LOG_SEATS)
        abort();
    seat->node = node;
    seat->life = book.life;
    seat->route = (struct stele_route){.name = node->name,
                                       .on = node->type == SIM_TYPES ? "sim.*" : sim_names[node->type],
                                       .handle = handle,
                                       .stop = note_stop,
                                       .delivery = node->is_durable ? STELE_DURABLE : STELE_AFTER_COMMIT,
                                       .partition = node->is_partitioned ? "key" : NULL,
                                       .begin = STELE_BEGIN_FIRST,
                                       .on_failure = node->policy,
                                       .interceptors = node->retries ? retrying : NULL};
    return seat;
}

/* --- The end ----------------------------------------------------------------------------------------- */

/* Every event came to each seat once, behind where it began. */
static void check_seat(const struct log_seat *seat)
{
    const struct log_node *node = seat->node;

    for (int64_t i = 1; i < book.fact_count; i++) {
        const struct log_fact *fact = &book.facts[i];
        const bool is_due = fact->position > seat->began && log_wants(node, i);

        sim_expect(!is_due || seat->ended[i] > 0, "%s has not handled %" PRIu64, node->name, fact->position);
        sim_expect(!is_due || seat->ended[i] == 1 || node->requeued[i], "%s has handled %" PRIu64 " again", node->name,
                   fact->position);
    }
    sim_expect(!node->is_durable || node->checkpoint == disk_head(), "%s: the checkpoint is at %" PRIu64 " of %" PRIu64,
               node->name, node->checkpoint, disk_head());
}

static int64_t fact_of(const char *id)
{
    for (int64_t i = 1; i < book.fact_count; i++)
        if (strcmp(book.facts[i].id, id) == 0)
            return i;
    return 0;
}

struct letters {
    bool is_there[LOG_NODES][LOG_FACTS];
};

static bool note_letter(void *context, const struct stele_dead_letter *letter)
{
    struct letters *letters = context;
    const int64_t number = fact_of(letter->id);

    for (size_t i = 0; i < book.node_count; i++) {
        if (strcmp(book.nodes[i].name, letter->route) != 0)
            continue;
        sim_expect(number && book.nodes[i].has_failed[number], "%s: a letter of what did not fail", letter->route);
        sim_expect(!letter->is_requeued, "%s: a letter was not handed to its route", letter->route);
        letters->is_there[i][number] = true;
    }
    return true;
}

/* What has failed for good lies there, unless somebody healed or dropped it; nothing else does. */
static void check_letters(void)
{
    const struct stele_dead_query all = {.size = sizeof(all), .with_requeued = true};
    struct letters letters = {{{false}}};
    stele_error *error = NULL;

    sim_ok(stele_dead_list_in(disk.store, &all, note_letter, &letters, &error), error);
    for (size_t i = 0; i < book.node_count; i++) {
        const struct log_node *node = &book.nodes[i];

        for (int64_t j = 1; j < book.fact_count; j++) {
            const bool is_due = node->policy == STELE_BURY && node->has_failed[j] && !node->is_healed[j];

            sim_expect(!letters.is_there[i][j] || is_due, "%s: a letter of fact %d is left", node->name, (int)j);
            sim_expect(letters.is_there[i][j] || !is_due || node->is_dropped[j], "%s: the letter of fact %d is lost",
                       node->name, (int)j);
        }
    }
}

void log_check(void)
{
    for (size_t i = 0; i < book.seat_count; i++)
        if (!book.seats[i].is_gone)
            check_seat(&book.seats[i]);
    check_letters();
}
