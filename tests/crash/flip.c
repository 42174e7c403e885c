/*
 * Flipped bytes (see flip.h). What is read afterwards is either what was
 * appended, or STELE_CORRUPT; what is missing is told by verify, which knows
 * the head from outside. Only the commits at the very end of a log, which look
 * like a torn end, may go without a word when the store is opened.
 */
#include "tests/crash/flip.h"

#include "tests/support/support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VFS "crash-flip"

enum {
    STEPS = 12,
    CHECKPOINT_AT = 6,
    CUT_MAX = 3, /* newest commits that may go: the one hit, and two behind it */
    HEADER_BITS = 256,
    NUMBER_LOW = 15 /* its offset */
};

struct run {
    struct crash_disk *disk;
    struct plan *plan;
    struct journal journal;
    struct crash_image image;
    struct opening opening;
    struct flip_result *result;
    struct verdict verdict;
    size_t unreadable, seen; /* events, in one reading */
    bool present[PLAN_STEPS_MAX];
};

/* --- The store -------------------------------------------------------------------------- */

/*
 * Each of the first `restarts` commits is moved into the file, so that the next one begins the log anew. The others
 * are in the log, and all up to step `moved` in the file too. Or, closed, all are in the file.
 */
static void make_store(struct run *run, size_t restarts, size_t moved, bool closed)
{
    stele_store *store = check_open(&run->opening, &run->verdict);
    uint64_t random = 1;

    assert_non_null(store);
    check_set_checkpoint(store, 1000000);
    for (size_t i = 0; i < STEPS; i++) {
        if (i == moved || i < restarts)
            check_checkpoint_next(store);
        assert_true(journal_run(&run->journal, store, i, false, &run->verdict));
        check_set_checkpoint(store, 1000000);
    }
    if (!closed)
        crash_disk_image(run->disk, CRASH_ALL_KEPT, &random, &run->image);
    stele_store_close(store);
    if (closed)
        crash_disk_image(run->disk, CRASH_ALL_KEPT, &random, &run->image);
}

/* --- Reading what is left ------------------------------------------------------------------- */

static struct stele_slice slice_of(const stele_message *message, int which)
{
    switch (which) {
    case 0: return stele_message_id(message);
    case 1: return stele_message_type(message);
    case 2: return stele_message_source(message);
    case 3: return stele_message_correlationid(message);
    case 4: return stele_message_datacontenttype(message);
    default: return stele_message_payload(message);
    }
}

static bool same_bytes(const stele_message *left, const stele_message *right)
{
    for (int which = 0; which < 6; which++) {
        const struct stele_slice one = slice_of(left, which);
        const struct stele_slice other = slice_of(right, which);
        if (one.size != other.size || (one.size > 0 && memcmp(one.data, other.data, one.size) != 0))
            return false;
    }
    return stele_message_time(left) == stele_message_time(right) &&
           stele_message_type_version(left) == stele_message_type_version(right);
}

static void check_message(struct run *run, const stele_message *message)
{
    const uint64_t position = stele_message_position(message);
    const char *name = NULL;
    size_t step = 0;
    size_t event = 0;

    run->seen++;
    if (!plan_locate(run->plan, message, &step, &event)) {
        found(&run->verdict, FINDING_BYTES, "an event with an id nobody gave was read");
        return;
    }
    run->present[step] = true;
    name = plan_stream(run->plan->steps[step].streams[event]);
    if (!same_bytes(message, run->plan->steps[step].events[event]) ||
        stele_message_stream(message).size != strlen(name) ||
        memcmp(stele_message_stream(message).data, name, strlen(name)) != 0 ||
        position != run->journal.entries[step].first_position + event)
        found(&run->verdict, FINDING_BYTES, "event %zu.%zu was read, and not as it was appended", step, event);
}

/* Read all that can be read; false if reading ended with an error. */
static bool read_all(struct run *run, stele_store *store)
{
    const stele_message *message = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    stele_status status = stele_read(store, NULL, &cursor, &error);

    while (status == STELE_OK || (status == STELE_CORRUPT && cursor != NULL)) {
        status = stele_cursor_next(cursor, &message, &error);
        if (status == STELE_OK && message == NULL)
            break;
        if (status == STELE_OK) {
            check_message(run, message);
            continue;
        }
        stele_error_free(error);
        error = NULL;
        if (++run->unreadable > 1000)
            break;
    }
    stele_error_free(error);
    stele_cursor_close(cursor);
    return status == STELE_OK && run->unreadable == 0;
}

static bool verify(stele_store *store, uint64_t head)
{
    struct stele_verify_options options = STELE_OPTIONS_INIT(struct stele_verify_options);
    stele_error *error = NULL;

    options.expect_head = head;
    const bool sound = stele_verify(store, &options, NULL, &error) == STELE_OK;
    stele_error_free(error);
    return sound;
}

static size_t missing_steps(const struct run *run)
{
    size_t missing = 0;

    for (size_t i = 0; i < STEPS; i++)
        missing += run->plan->steps[i].event_count > 0 && !run->present[i];
    return missing;
}

static void judge(struct run *run, stele_store *store)
{
    const bool readable = read_all(run, store);
    const size_t missing = missing_steps(run);
    const bool sound = verify(store, 0);
    const bool sound_by_anchor = verify(store, run->journal.head);

    if ((missing > 0 || !readable) && sound_by_anchor)
        found(&run->verdict, FINDING_LOST, "%zu appends are missing, and verify says nothing", missing);
    if (missing > CUT_MAX && readable && sound)
        found(&run->verdict, FINDING_LOST, "%zu appends went with the end of the log without a word", missing);
    if (!readable || !sound)
        run->result->reported++;
    else if (missing > 0)
        run->result->shortened++;
    else
        run->result->harmless++;
}

/* --- Flipping ----------------------------------------------------------------------------------- */

static void flip(struct run *run, struct crash_image_file *file, size_t offset, unsigned char mask)
{
    stele_store *store;
    struct verdict refusal = {FINDING_NONE, ""};

    memset(run->present, 0, sizeof run->present);
    memset(&run->verdict, 0, sizeof run->verdict);
    run->seen = run->unreadable = 0;
    file->bytes[offset] ^= mask;
    crash_disk_load(run->disk, &run->image);
    file->bytes[offset] ^= mask;
    run->result->flips++;
    store = check_open(&run->opening, &refusal);
    if (store == NULL)
        run->result->refused++;
    else
        judge(run, store);
    stele_store_close(store);
    run->result->findings[run->verdict.finding]++;
    if (run->verdict.finding != FINDING_NONE && run->result->first[0] == '\0')
        snprintf(run->result->first, sizeof run->result->first, "seed %" PRIu64 ", %s, byte %zu ^ %02x: %s: %s",
                 run->plan->seed, file->name, offset, mask, finding_name(run->verdict.finding), run->verdict.text);
}

static struct run *begin(uint64_t seed, struct flip_result *result)
{
    const struct plan_options plan_options = {.steps = STEPS, .only_appends = true, .small = true};
    const struct crash_options options = {.sector = 4096, .power_safe = true, .seed = seed};
    struct run *run = calloc(1, sizeof *run);

    assert_non_null(run);
    run->plan = plan_new(seed, &plan_options);
    run->journal.plan = run->plan;
    run->result = result;
    run->disk = crash_disk_new(VFS, &options);
    run->opening = (struct opening){.disk = run->disk, .vfs = VFS, .sync = "full"};
    return run;
}

static void end(struct run *run)
{
    crash_image_fini(&run->image);
    crash_disk_free(run->disk);
    plan_free(run->plan);
    free(run);
}

void flip_run(uint64_t seed, const char *name, size_t stride, struct flip_result *result)
{
    struct run *run = begin(seed, result);
    uint64_t random = seed;

    make_store(run, 0, CHECKPOINT_AT, strcmp(name, "/ledger") == 0);
    struct crash_image_file *file = crash_image_find(&run->image, name);
    assert_non_null(file);
    for (size_t at = (size_t)crash_random_below(&random, stride); at < file->size; at += stride)
        flip(run, file, at, (unsigned char)(1U << crash_random_below(&random, 8)));
    end(run);
}

void flip_header(uint64_t seed, size_t restarts, bool moved, struct flip_result *result)
{
    struct run *run = begin(seed, result);

    make_store(run, restarts, moved ? STEPS - 1 : CHECKPOINT_AT, false);
    struct crash_image_file *file = crash_image_find(&run->image, "/ledger-wal");
    assert_non_null(file);
    result->number = file->bytes[NUMBER_LOW];
    for (size_t bit = 0; bit < HEADER_BITS; bit++)
        flip(run, file, bit / 8, (unsigned char)(1U << bit % 8));
    end(run);
}
