/* The purses of stage.h. */
#include "tests/unit/projections/stage.h"

STELE_DEFINE_EVENT(put_in, "purse.put_in", 1, PUT_IN);
STELE_DEFINE_EVENT(took_out, "purse.took_out", 1, TOOK_OUT);
STELE_DEFINE_VIEW(purse, "purse", 1, PURSE, "account", "amount");

struct failing failing;

const struct stele_retry three = {.max_attempts = 3, .jitter = STELE_JITTER_NONE};

static stele_status fail_on(int64_t amount, stele_projecting *at)
{
    if (amount != failing.amount || failing.times == 0)
        return STELE_OK;
    if (failing.times != UINT32_MAX)
        failing.times--;
    return stele_projecting_fail(at, failing.status ? failing.status : STELE_REJECTED, "%" PRId64 " is a bad amount",
                                 amount);
}

/* --- Views ------------------------------------------------------------------------------------- */

static stele_status change(stele_views *views, const char *account, int64_t amount, stele_projecting *at)
{
    struct purse row = {.account = account};
    stele_status status = purse_get(views, &row, stele_projecting_arena(at), &row, stele_projecting_error(at));

    if (status != STELE_OK && status != STELE_NOT_FOUND)
        return status;
    row.account = account;
    row.amount += amount;
    row.changes++;
    status = purse_upsert(views, &row, stele_projecting_error(at));
    /* After the write, so that it has to be taken back. */
    return status == STELE_OK ? fail_on(amount, at) : status;
}

static stele_status add_to(stele_views *views, const struct put_in *event, stele_projecting *at)
{
    return change(views, event->account, event->amount, at);
}
STELE_DEFINE_PROJECT(add_to, put_in)

static stele_status take_from(stele_views *views, const struct took_out *event, stele_projecting *at)
{
    return change(views, event->account, -event->amount, at);
}
STELE_DEFINE_PROJECT(take_from, took_out)

const struct stele_projection_on purses_on[2] = {{&put_in_type, add_to_project}, {&took_out_type, take_from_project}};
const struct stele_view *const purse_views[2] = {&purse_view, NULL};

const struct stele_projection purses = {
    .name = "purses",
    .version = 1,
    .kind = STELE_PROJECTION_IN_FILE,
    .on = purses_on,
    .on_count = 2,
    .views = purse_views,
    .retry = &three,
};

const struct stele_projection inline_purses = {
    .name = "inline",
    .version = 1,
    .kind = STELE_PROJECTION_IN_STORE,
    .on = purses_on,
    .on_count = 2,
    .views = purse_views,
};

/* --- In memory ------------------------------------------------------------------------------------ */

void reset_totals(void *model)
{
    struct totals *sums = model;
    const unsigned resets = sums->resets + 1;

    memset(sums, 0, sizeof(*sums));
    sums->resets = resets;
}

static void count(struct totals *model, int64_t amount)
{
    const size_t used = strlen(model->order);

    model->sum += amount;
    model->count++;
    if (used + 24 < sizeof(model->order))
        snprintf(model->order + used, sizeof(model->order) - used, "%" PRId64 " ", amount);
}

static stele_status count_in(struct totals *model, const struct put_in *event, stele_projecting *at)
{
    const stele_status status = fail_on(event->amount, at);

    if (status == STELE_OK)
        count(model, event->amount);
    return status;
}
STELE_DEFINE_PROJECT_WITH(count_in, put_in, totals)

static stele_status count_out(struct totals *model, const struct took_out *event, stele_projecting *at)
{
    (void)at;
    count(model, -event->amount);
    return STELE_OK;
}
STELE_DEFINE_PROJECT_WITH(count_out, took_out, totals)

const struct stele_projection_on totals_on[2] = {{&put_in_type, count_in_project}, {&took_out_type, count_out_project}};

const struct stele_projection totals = {
    .name = "totals",
    .version = 1,
    .kind = STELE_PROJECTION_IN_MEMORY,
    .on = totals_on,
    .on_count = 2,
    .reset = reset_totals,
    .retry = &three,
};

/* --- Out ------------------------------------------------------------------------------------------- */

static stele_status write_letter(struct letters *model, const struct put_in *event, stele_projecting *at)
{
    const stele_status status = fail_on(event->amount, at);
    const size_t used = strlen(model->text);
    const bool is_replay = stele_projecting_is_replay(at);

    if (status == STELE_OK)
        snprintf(model->text + used, sizeof(model->text) - used, "%s%s%s ", is_replay ? "(" : "",
                 stele_projecting_delivery(at), is_replay ? ")" : "");
    return status;
}
STELE_DEFINE_PROJECT_WITH(write_letter, put_in, letters)

const struct stele_projection_on letters_on[1] = {{&put_in_type, write_letter_project}};

const struct stele_projection letters = {
    .name = "letters",
    .version = 1,
    .kind = STELE_PROJECTION_OUT,
    .on = letters_on,
    .on_count = 1,
    .retry = &three,
};

/* --- The stage ----------------------------------------------------------------------------------------- */

stele_store *open_store(const char *url, const stele_runtime *runtime)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = NULL;
    stele_error *error = NULL;

    options.clock = runtime ? stele_runtime_clock(runtime) : NULL;
    assert_ok(stele_store_open(url, &options, &store, &error), error);
    return store;
}

static void make_projections(struct stage *stage, const char *file)
{
    struct stele_projections_options options = STELE_OPTIONS_INIT(struct stele_projections_options);
    stele_error *error = NULL;

    options.file = file;
    assert_ok(stele_projections_new(stage->store, stage->runtime, &options, &stage->projections, &error), error);
}

void begin_stage(struct stage *stage, const char *url, const char *file)
{
    stele_error *error = NULL;

    failing = (struct failing){0};
    assert_ok(stele_runtime_simulated(7, &stage->runtime, &error), error);
    stage->store = open_store(url, stage->runtime);
    make_projections(stage, file);
}

void begin_stage_with(struct stage *stage, const char *url, const char *file, unsigned threads)
{
    stele_error *error = NULL;

    failing = (struct failing){0};
    assert_ok(stele_runtime_new(threads, NULL, &stage->runtime, &error), error);
    stage->store = open_store(url, NULL);
    make_projections(stage, file);
}

void restart(struct stage *stage, const char *file)
{
    stele_projections_free(stage->projections);
    make_projections(stage, file);
}

void end_stage(struct stage *stage)
{
    stele_projections_free(stage->projections);
    stele_store_close(stage->store);
    stele_runtime_free(stage->runtime);
}

/* --- Events ---------------------------------------------------------------------------------------------- */

stele_message *new_put(const char *account, int64_t amount)
{
    const struct put_in payload = {.account = account, .amount = amount};
    stele_message *event = NULL;
    stele_error *error = NULL;

    assert_ok(put_in_message(&payload, NULL, &event, &error), error);
    return event;
}

static uint64_t append(stele_store *store, const char *account, stele_message *event)
{
    struct stele_appended result = {0};
    stele_error *error = NULL;
    char stream[64];

    snprintf(stream, sizeof(stream), "purse-%s", account);
    assert_ok(stele_append(store, stream, stele_expect_any(), event, &result, &error), error);
    stele_message_unref(event);
    return result.last_position;
}

uint64_t put(stele_store *store, const char *account, int64_t amount)
{
    return append(store, account, new_put(account, amount));
}

uint64_t take_out(stele_store *store, const char *account, int64_t amount)
{
    const struct took_out payload = {.account = account, .amount = amount};
    stele_message *event = NULL;
    stele_error *error = NULL;

    assert_ok(took_out_message(&payload, NULL, &event, &error), error);
    return append(store, account, event);
}

void put_many(stele_store *store, unsigned count_of_them)
{
    static const char *const accounts[] = {"a", "b", "c"};

    for (unsigned i = 0; i < count_of_them; i++)
        put(store, accounts[i % 3], i + 1);
}

/* --- Projections --------------------------------------------------------------------------------------------- */

void add(struct stage *stage, const struct stele_projection *projection, void *model)
{
    stele_error *error = NULL;

    assert_ok(stele_projections_add(stage->projections, projection, model, &error), error);
}

void run(struct stage *stage)
{
    stele_runtime_run_until_idle(stage->runtime);
}

void wait_for(struct stage *stage, const char *name, uint64_t position)
{
    const char *const names[] = {name, NULL};
    stele_error *error = NULL;

    assert_ok(stele_projections_wait(stage->projections, names, position, 60000, &error), error);
}

struct wanted {
    const char *name;
    struct stele_projection_stats stats;
    bool found;
};

static bool look(void *context, const struct stele_projection_stats *stats)
{
    struct wanted *wanted = context;

    if (strcmp(stats->name, wanted->name) != 0)
        return true;
    wanted->stats = *stats;
    wanted->found = true;
    return false;
}

struct stele_projection_stats stats_of(struct stage *stage, const char *name)
{
    struct wanted wanted = {.name = name};
    stele_error *error = NULL;

    assert_ok(stele_projections_visit(stage->projections, look, &wanted, &error), error);
    assert_true(wanted.found);
    return wanted.stats;
}

void assert_state(struct stage *stage, const char *name, enum stele_subscription_state state)
{
    assert_string_equal(stele_subscription_state_name(stats_of(stage, name).running.state),
                        stele_subscription_state_name(state));
}

/* --- Views ------------------------------------------------------------------------------------------------------- */

struct dumping {
    char *text;
    size_t size;
};

static bool dump_row(void *context, const struct purse *row)
{
    struct dumping *dumping = context;
    const size_t used = strlen(dumping->text);

    snprintf(dumping->text + used, dumping->size - used, "%s %" PRId64 " %" PRId64 "; ", row->account, row->amount,
             row->changes);
    return true;
}

const char *dump(stele_views *views)
{
    static char texts[2][8192];
    static unsigned next;
    const struct stele_view_query query = {.order = "account"};
    struct dumping dumping = {texts[next], sizeof(texts[next])};
    stele_error *error = NULL;

    next = (next + 1) % 2;
    dumping.text[0] = '\0';
    assert_ok(purse_visit(views, &query, dump_row, &dumping, &error), error);
    return dumping.text;
}

const char *dump_of(struct stage *stage, const char *name)
{
    const char *text;
    stele_views *views = NULL;
    stele_error *error = NULL;

    assert_ok(stele_projections_open(stage->projections, name, &views, &error), error);
    text = dump(views);
    stele_views_close(views);
    return text;
}

const char *dump_file(const char *path)
{
    const char *text;
    struct stele_views_options options = STELE_OPTIONS_INIT(struct stele_views_options);
    stele_views *views = NULL;
    stele_error *error = NULL;

    options.mode = STELE_OPEN_READ_ONLY;
    assert_ok(stele_views_open(path, &options, &views, &error), error);
    text = dump(views);
    stele_views_close(views);
    return text;
}
