/* Many writers on one store (see writers.h). */
#include "tests/crash/writers.h"

#include "tests/support/support.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { STREAMS_MAX = 16, EVENTS_MAX = 3, PAYLOAD = 200, NAME = 32 };

#define TRYING (UINT64_C(1) << 63)
#define REJECTED_MARK (UINT64_C(1) << 62)

void writers_init(struct writers *writers, size_t streams)
{
    writers->streams = streams;
    writers->lanes =
        mmap(NULL, WRITERS_LANES_MAX * sizeof(struct lane), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(writers->lanes != MAP_FAILED);
}

void writers_fini(struct writers *writers)
{
    munmap(writers->lanes, WRITERS_LANES_MAX * sizeof(struct lane));
}

void writers_clear(struct writers *writers)
{
    memset(writers->lanes, 0, WRITERS_LANES_MAX * sizeof(struct lane));
}

/* --- One batch ----------------------------------------------------------------------- */

struct writer {
    struct writers *writers;
    stele_store *store;
    size_t lane;
    size_t batches;
    struct support_random random;
    uint64_t known[STREAMS_MAX]; /* versions, as far as this thread has heard */
};

struct batch {
    char names[2][NAME];
    size_t numbers[2];
    struct stele_expectation expectations[2];
    size_t expectation_count;
    struct stele_write writes[EVENTS_MAX];
    stele_message *events[EVENTS_MAX];
    size_t write_count;
    char expected[96]; /* the expectations as text */
};

static struct stele_expected choose_expected(struct writer *writer, size_t stream)
{
    switch (support_random_below(&writer->random, 8)) {
    case 0: return stele_expect_no_stream();
    case 1: return stele_expect_exists();
    case 2: return stele_expect_any();
    case 3: return stele_expect_version(writer->known[stream] + support_random_below(&writer->random, 3));
    default: return stele_expect_version(writer->known[stream]);
    }
}

static void choose_streams(struct writer *writer, struct batch *batch)
{
    const size_t streams = writer->writers->streams;
    size_t length = 0;

    batch->numbers[0] = (size_t)support_random_below(&writer->random, streams);
    batch->numbers[1] = (batch->numbers[0] + 1 + (size_t)support_random_below(&writer->random, streams - 1)) % streams;
    batch->expectation_count = (size_t)support_random_below(&writer->random, 3);
    batch->expected[0] = '\0';
    for (size_t i = 0; i < 2; i++)
        snprintf(batch->names[i], NAME, "stream-%zu", batch->numbers[i]);
    for (size_t i = 0; i < batch->expectation_count; i++) {
        batch->expectations[i].stream = batch->names[i];
        batch->expectations[i].expected = choose_expected(writer, batch->numbers[i]);
        length += (size_t)snprintf(batch->expected + length, sizeof batch->expected - length, " %zu:%d:%" PRIu64,
                                   batch->numbers[i], (int)batch->expectations[i].expected.expect,
                                   batch->expectations[i].expected.version);
    }
}

/* The payload says: lane, batch, event, events of the batch, number of its stream, and then the expectations. */
static stele_message *make_event(const struct writer *writer, const struct batch *batch, size_t number, size_t event,
                                 size_t stream)
{
    char payload[PAYLOAD];
    char id[64];
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    struct stele_raw_message raw = {.kind = STELE_EVENT, .type = "race.happened", .format = STELE_PAYLOAD_BYTES};
    stele_message *message = NULL;

    raw.payload.data = payload;
    raw.payload.size = (size_t)snprintf(payload, sizeof payload, "%zu %zu %zu %zu %zu |%s", writer->lane, number, event,
                                        batch->write_count, stream, batch->expected);
    snprintf(id, sizeof id, "%08zx-%04zx-8000-8000-%012zx", writer->lane, event, number);
    options.id = id;
    options.datacontenttype = "text/plain";
    if (stele_message_new_raw(&raw, &options, &message, NULL) != STELE_OK)
        abort();
    return message;
}

static void learn(struct writer *writer, const stele_error *error)
{
    const struct stele_conflict *conflict = stele_error_conflict(error);
    size_t stream = 0;

    if (conflict != NULL && sscanf(conflict->stream, "stream-%zu", &stream) == 1 && stream < STREAMS_MAX)
        writer->known[stream] = conflict->actual;
}

/* False when the store takes no more. */
static bool append(struct writer *writer, struct batch *batch, size_t number)
{
    const struct stele_batch given = {.writes = batch->writes,
                                      .write_count = batch->write_count,
                                      .expectations = batch->expectations,
                                      .expectation_count = batch->expectation_count};
    _Atomic uint64_t *place = &writer->writers->lanes[writer->lane].batches[number];
    struct stele_appended result;
    stele_error *error = NULL;

    atomic_store(place, TRYING);
    const stele_status status = stele_append_batch(writer->store, &given, &result, &error);
    if (status == STELE_OK) {
        const size_t last = batch->writes[batch->write_count - 1].stream == batch->names[0] ? 0 : 1;
        atomic_store(place, result.first_position);
        writer->known[batch->numbers[last]] = result.version;
    } else if (status == STELE_CONFLICT || status == STELE_BUSY || status == STELE_FULL) {
        atomic_store(place, REJECTED_MARK);
        learn(writer, error);
    }
    stele_error_free(error);
    return status == STELE_OK || status == STELE_CONFLICT || status == STELE_BUSY;
}

static bool write_batch(struct writer *writer, size_t number)
{
    struct batch batch = {.write_count = 1 + (size_t)support_random_below(&writer->random, EVENTS_MAX)};

    choose_streams(writer, &batch);
    for (size_t i = 0; i < batch.write_count; i++) {
        const size_t which = (size_t)support_random_below(&writer->random, 2);
        batch.writes[i].stream = batch.names[which];
        batch.events[i] = make_event(writer, &batch, number, i, batch.numbers[which]);
        batch.writes[i].event = batch.events[i];
    }
    const bool goes_on = append(writer, &batch, number);
    for (size_t i = 0; i < batch.write_count; i++)
        stele_message_unref(batch.events[i]);
    return goes_on;
}

static void *run_writer(void *context)
{
    struct writer *writer = context;

    for (size_t i = 0; i < writer->batches && write_batch(writer, i); i++)
        continue;
    return NULL;
}

void writers_run(struct writers *writers, stele_store *store, size_t lane, size_t threads, size_t batches,
                 uint64_t seed)
{
    struct writer *all = calloc(threads, sizeof *all);
    pthread_t *started = calloc(threads, sizeof *started);

    if (all == NULL || started == NULL || lane + threads > WRITERS_LANES_MAX || batches > WRITERS_BATCHES_MAX)
        abort();
    for (size_t i = 0; i < threads; i++) {
        all[i] = (struct writer){.writers = writers,
                                 .store = store,
                                 .lane = lane + i,
                                 .batches = batches,
                                 .random = {.state = seed * 1000 + lane + i}};
        if (pthread_create(&started[i], NULL, run_writer, &all[i]) != 0)
            abort();
    }
    for (size_t i = 0; i < threads; i++)
        pthread_join(started[i], NULL);
    free(started);
    free(all);
}

/* --- The log ---------------------------------------------------------------------------------- */

/* An event as its payload describes it. */
struct told {
    size_t lane, batch, event, events, stream;
    char expected[96];
};

struct walk {
    struct writers *writers;
    struct writers_seen *seen;
    struct verdict *verdict;
    struct told last;
    bool in_batch;
    uint64_t versions[STREAMS_MAX];
    uint64_t position;
    unsigned char (*present)[WRITERS_BATCHES_MAX];
};

static bool parse(const stele_message *message, struct told *out)
{
    const struct stele_slice payload = stele_message_payload(message);
    char text[PAYLOAD + 1];
    int length = 0;

    if (payload.size > PAYLOAD)
        return false;
    memcpy(text, payload.data, payload.size);
    text[payload.size] = '\0';
    if (sscanf(text, "%zu %zu %zu %zu %zu |%n", &out->lane, &out->batch, &out->event, &out->events, &out->stream,
               &length) != 5 ||
        length == 0)
        return false;
    snprintf(out->expected, sizeof out->expected, "%s", text + length);
    return out->lane < WRITERS_LANES_MAX && out->batch < WRITERS_BATCHES_MAX && out->stream < STREAMS_MAX;
}

static bool holds(enum stele_expect expect, uint64_t expected, uint64_t version)
{
    switch (expect) {
    case STELE_EXPECT_ANY: return true;
    case STELE_EXPECT_NO_STREAM: return version == 0;
    case STELE_EXPECT_EXISTS: return version > 0;
    case STELE_EXPECT_VERSION: break;
    }
    return version == expected;
}

static bool check_expectations(struct walk *walk, const struct told *told)
{
    const char *at = told->expected;
    size_t stream = 0;
    int expect = 0;
    uint64_t expected = 0;
    int length = 0;

    while (sscanf(at, " %zu:%d:%" SCNu64 "%n", &stream, &expect, &expected, &length) == 3) {
        walk->seen->expectations++;
        if (stream >= STREAMS_MAX || !holds((enum stele_expect)expect, expected, walk->versions[stream]))
            return found(walk->verdict, FINDING_ANSWER,
                         "batch %zu.%zu expected %d:%" PRIu64 " of stream-%zu, which was at version %" PRIu64,
                         told->lane, told->batch, expect, expected, stream,
                         stream < STREAMS_MAX ? walk->versions[stream] : 0);
        at += length;
    }
    return true;
}

static bool begin_batch(struct walk *walk, const struct told *told, uint64_t position)
{
    const uint64_t note = atomic_load(&walk->writers->lanes[told->lane].batches[told->batch]);

    if (told->event != 0)
        return found(walk->verdict, FINDING_TORN, "batch %zu.%zu begins with its event %zu", told->lane, told->batch,
                     told->event);
    if (walk->present[told->lane][told->batch]++)
        return found(walk->verdict, FINDING_PHANTOM, "batch %zu.%zu is stored twice", told->lane, told->batch);
    if (note == 0 || note == REJECTED_MARK)
        return found(walk->verdict, FINDING_PHANTOM, "batch %zu.%zu is stored although it was %s", told->lane,
                     told->batch, note == 0 ? "never sent" : "rejected");
    if (note != TRYING && note != position)
        return found(walk->verdict, FINDING_DISORDER,
                     "batch %zu.%zu was acknowledged at %" PRIu64 " and is at %" PRIu64, told->lane, told->batch, note,
                     position);
    walk->seen->batches++;
    return check_expectations(walk, told);
}

static bool check_event(struct walk *walk, const stele_message *message)
{
    const uint64_t position = stele_message_position(message);
    struct told told;

    if (!parse(message, &told))
        return found(walk->verdict, FINDING_BYTES, "the payload at %" PRIu64 " is nobody's", position);
    if (position <= walk->position)
        return found(walk->verdict, FINDING_DISORDER, "position %" PRIu64 " follows %" PRIu64, position,
                     walk->position);
    walk->position = position;
    const bool goes_on = walk->in_batch && walk->last.event + 1 < walk->last.events;
    if (goes_on &&
        (told.lane != walk->last.lane || told.batch != walk->last.batch || told.event != walk->last.event + 1))
        return found(walk->verdict, FINDING_TORN, "batch %zu.%zu is cut by batch %zu.%zu", walk->last.lane,
                     walk->last.batch, told.lane, told.batch);
    if (!goes_on && !begin_batch(walk, &told, position))
        return false;
    walk->in_batch = true;
    walk->last = told;
    if (stele_message_version(message) != ++walk->versions[told.stream])
        return found(walk->verdict, FINDING_DISORDER, "stream-%zu: version %" PRIu64 " instead of %" PRIu64,
                     told.stream, stele_message_version(message), walk->versions[told.stream]);
    return true;
}

static bool check_notes(struct walk *walk)
{
    if (walk->in_batch && walk->last.event + 1 != walk->last.events)
        return found(walk->verdict, FINDING_TORN, "the last batch is not whole");
    for (size_t lane = 0; lane < WRITERS_LANES_MAX; lane++) {
        for (size_t batch = 0; batch < WRITERS_BATCHES_MAX; batch++) {
            const uint64_t note = atomic_load(&walk->writers->lanes[lane].batches[batch]);
            if (note == 0)
                break;
            walk->seen->rejected += note == REJECTED_MARK;
            walk->seen->unknown += note == TRYING;
            if (note == TRYING || note == REJECTED_MARK)
                continue;
            walk->seen->acknowledged++;
            if (!walk->present[lane][batch])
                return found(walk->verdict, FINDING_LOST,
                             "batch %zu.%zu was acknowledged at %" PRIu64 " and is not there; the log ends at %" PRIu64,
                             lane, batch, note, walk->position);
        }
    }
    return true;
}

bool writers_check(struct writers *writers, stele_store *store, struct writers_seen *seen, struct verdict *verdict)
{
    struct walk walk = {.writers = writers, .seen = seen, .verdict = verdict};
    const stele_message *message = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    bool sound = true;

    memset(seen, 0, sizeof *seen);
    walk.present = calloc(WRITERS_LANES_MAX, sizeof *walk.present);
    assert_non_null(walk.present);
    if (stele_read(store, NULL, &cursor, &error) != STELE_OK)
        sound = found(verdict, FINDING_REFUSED, "the log cannot be read: %s", stele_error_message(error));
    while (sound) {
        if (stele_cursor_next(cursor, &message, &error) != STELE_OK)
            sound = found(verdict, FINDING_REFUSED, "the log cannot be read: %s", stele_error_message(error));
        else if (message == NULL)
            break;
        else
            sound = check_event(&walk, message);
    }
    sound = sound && check_notes(&walk);
    stele_error_free(error);
    stele_cursor_close(cursor);
    free(walk.present);
    return sound;
}
