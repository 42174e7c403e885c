/* The scripted backend, see fake.h. */
#include "tests/unit/store/fake.h"

#include <string.h>

#include "base/error.h"
#include "base/fork.h"

uint64_t fake_position(size_t index)
{
    return 10 * (uint64_t)(index + 1);
}

/* Where the walk stands: in the array, and in words of positions. */
static size_t first_index(const struct fake *fake, const struct stele_scan *scan)
{
    size_t index = 0;

    if (!scan->backwards) {
        while (index < fake->count && fake->records[index].position <= scan->after)
            index++;
        return index;
    }
    index = fake->count;
    while (index > 0 && ((scan->after && fake->records[index - 1].position >= scan->after) ||
                         fake->records[index - 1].position > scan->until))
        index--;
    return index; /* one above the first to look at */
}

static stele_status damage(struct fake *fake, const struct stele_record *record, struct stele_scan_end *end,
                           stele_error **error)
{
    end->last = fake->place_unknown ? 0 : record->position;
    return stele__fail(error, STELE_CORRUPT, "row at position %u is damaged", (unsigned)record->position);
}

static stele_status walk(struct fake *fake, const struct stele_scan *scan, stele_record_visit *visit, void *context,
                         struct stele_scan_end *end, stele_error **error)
{
    size_t index = first_index(fake, scan);
    uint64_t left = scan->limit;

    for (size_t looked = 0; scan->backwards ? index > 0 : index < fake->count; looked++) {
        const size_t at = scan->backwards ? --index : index++;
        const struct stele_record *record = &fake->records[at];

        if (record->position > scan->until)
            break;
        if (fake->stop_after && looked == fake->stop_after)
            return STELE_OK;
        if (fake->damaged[at])
            return damage(fake, record, end, error);
        end->last = record->position;
        if (!visit(context, record) || --left == 0)
            return STELE_OK;
    }
    end->done = true;
    return STELE_OK;
}

static stele_status fake_read(struct stele_backend *backend, const struct stele_scan *scan, stele_record_visit *visit,
                              void *context, struct stele_scan_end *end, stele_error **error)
{
    struct fake *fake = (struct fake *)backend;

    if (fake->reads++ && scan->until > fake->greatest_until)
        fake->greatest_until = scan->until;
    end->head = fake->count ? fake->records[fake->count - 1].position : 0;
    end->last = scan->after;
    if (fake->reads == fake->failing_read)
        return stele__fail(error, fake->failure, "as the test asked");
    return walk(fake, scan, visit, context, end, error);
}

static stele_status fake_stats(struct stele_backend *backend, struct stele_stats *out, stele_error **error)
{
    const struct fake *fake = (struct fake *)backend;

    (void)error;
    out->events = fake->count;
    return STELE_OK;
}

static stele_status fake_verify(struct stele_backend *backend, const struct stele_verify_options *options,
                                struct stele_verified *out, stele_error **error)
{
    const struct fake *fake = (struct fake *)backend;

    (void)error;
    out->faults = fake->faults_below;
    out->log_commits = 3;
    for (uint64_t i = 0; i < fake->faults_below && options->fault; i++)
        options->fault(options->context, "below");
    return STELE_OK;
}

static const struct stele_store_ops ops = {
    .size = sizeof(struct stele_store_ops),
    .scheme = "fake",
    .read = fake_read,
    .stats = fake_stats,
    .verify = fake_verify,
};

void fake_init(struct fake *fake, size_t count)
{
    memset(fake, 0, sizeof(*fake));
    fake->backend.ops = &ops;
    fake->store.ops = &ops;
    fake->store.backend = &fake->backend;
    fake->store.generation = stele__fork_generation();
    fake->count = count;
    for (size_t i = 0; i < count; i++) {
        fake->records[i] = (struct stele_record){
            .position = fake_position(i),
            .version = i + 1,
            .stream = support_slice("s"),
            .type = support_slice("t"),
            .type_version = 1,
            .id = support_slice("id"),
            .payload = support_slice("\xc0"),
        };
    }
}
