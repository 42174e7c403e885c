/* A requeued dead letter behind a store that cannot be read for a while. */
#include "tests/unit/bus/log_stage.h"

#include "base/error.h"
#include "store/backends.h"
#include "store/store.h"

static struct stele_store_ops ops;
static bool is_failing;

static stele_status read_at_times(struct stele_backend *backend, const struct stele_scan *scan,
                                  stele_record_visit *visit, void *context, struct stele_scan_end *end,
                                  stele_error **error)
{
    if (is_failing && !scan->stream.data)
        return stele__fail(error, STELE_IO, "not now");
    return stele__memory_ops.read(backend, scan, visit, context, end, error);
}

static void a_letter_that_cannot_be_read_now_is_handed_to_its_route_later(void **state)
{
    static const struct stele_route route = {.name = "all", .on = ">", .handle = note, .delivery = STELE_DURABLE};
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes notes = NOTES;
    uint64_t count = 0;
    stele_error *error = NULL;

    (void)state;
    ops = stele__memory_ops;
    ops.read = read_at_times;
    stage.store->ops = &ops;
    notes.fails_on = "bad";
    notes.status = STELE_FAILED;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &route, &notes);
    log_stage_append(stage.store, "order.placed", "bad");
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(notes.text, "bad ");
    notes.fails_on = NULL;
    is_failing = true;
    assert_ok(stele_dead_requeue(stage.bus, NULL, &count, &error), error);
    assert_int_equal(count, 1);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(notes.text, "bad ");
    is_failing = false;
    stele_runtime_advance(stage.runtime, INT64_C(10) * 1000000000);
    assert_string_equal(notes.text, "bad bad ");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_letter_that_cannot_be_read_now_is_handed_to_its_route_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
