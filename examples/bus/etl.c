/*
 * Extract, transform, load, with soft errors: a record that cannot go on is not
 * a failure of the program. It carries its status through the remaining steps,
 * which pass it on untouched, and is counted in the report.
 */
#include "example.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD(FIELD, T) \
    FIELD(T, TEXT, line) \
    FIELD(T, TEXT, status, STELE_ONE_OF("ok", "no number", "too large")) \
    FIELD(T, INT64, value)
STELE_DECLARE(extracted, RECORD);
STELE_DECLARE(parsed, RECORD);
STELE_DECLARE(checked, RECORD);
STELE_DECLARE(converted, RECORD);
STELE_DEFINE_EVENT(extracted, "etl.extracted", 1, RECORD);
STELE_DEFINE_EVENT(parsed, "etl.parsed", 1, RECORD);
STELE_DEFINE_EVENT(checked, "etl.checked", 1, RECORD);
STELE_DEFINE_EVENT(converted, "etl.converted", 1, RECORD);

enum { VALUE_MAX = 1000 };

struct report {
    int loaded, no_number, too_large;
    int64_t sum;
};

static bool is_ok(const char *status)
{
    return strcmp(status, "ok") == 0;
}

static stele_status parse(const struct extracted *record, stele_context *context)
{
    char *end = NULL;
    long long value;

    errno = 0;
    value = strtoll(record->line, &end, 10);
    if (errno || end == record->line || *end)
        return STELE_PUBLISH(context, parsed, record->line, "no number", 0);
    return STELE_PUBLISH(context, parsed, record->line, "ok", value);
}
STELE_DEFINE_HANDLER(parse, extracted)

static stele_status check(const struct parsed *record, stele_context *context)
{
    const bool is_too_large = is_ok(record->status) && record->value > VALUE_MAX;

    return STELE_PUBLISH(context, checked, record->line, is_too_large ? "too large" : record->status, record->value);
}
STELE_DEFINE_HANDLER(check, parsed)

static stele_status convert(const struct checked *record, stele_context *context)
{
    return STELE_PUBLISH(context, converted, record->line, record->status,
                         is_ok(record->status) ? record->value * 100 : record->value);
}
STELE_DEFINE_HANDLER(convert, checked)

static stele_status load(struct report *report, const struct converted *record, stele_context *context)
{
    (void)context;
    report->loaded += is_ok(record->status);
    report->no_number += strcmp(record->status, "no number") == 0;
    report->too_large += strcmp(record->status, "too large") == 0;
    report->sum += is_ok(record->status) ? record->value : 0;
    return STELE_OK;
}
STELE_DEFINE_HANDLER_WITH(load, converted, report)

static const struct stele_type *const types[] = {&extracted_type, &parsed_type, &checked_type, &converted_type, NULL};
static const struct stele_type *const accepts[] = {&extracted_type, NULL};
#define PUBLISHES(name) \
    (const struct stele_type *const[]) \
    { \
        &name##_type, NULL \
    }
static const struct stele_route routes[] = {
    {.name = "parse",
     .on = "extracted",
     .handle = parse_handle,
     .publishes = PUBLISHES(parsed),
     .delivery = STELE_QUEUED},
    {.name = "check",
     .on = "parsed",
     .handle = check_handle,
     .publishes = PUBLISHES(checked),
     .delivery = STELE_QUEUED},
    {.name = "convert",
     .on = "checked",
     .handle = convert_handle,
     .publishes = PUBLISHES(converted),
     .delivery = STELE_QUEUED},
    {.name = "load", .on = "converted", .handle = load_handle, .uses = "report", .delivery = STELE_QUEUED},
};
static const struct stele_module etl = {
    .name = "etl",
    .types = types,
    .accepts = accepts,
    .routes = routes,
    .route_count = sizeof(routes) / sizeof(routes[0]),
};

static stele_status extract(stele_unit *unit, stele_error **error)
{
    static const char *const lines[] = {"12", "7", "seven", "1001", "", "1000", "3x"};
    stele_status status = STELE_OK;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]) && status == STELE_OK; i++) {
        const struct extracted record = {.line = lines[i], .status = "ok"};
        stele_message *message = NULL;

        status = extracted_message(&record, NULL, &message, error);
        if (status == STELE_OK)
            status = stele_unit_publish(unit, message, NULL, error);
        stele_message_unref(message);
    }
    return status;
}

static stele_status run(stele_app *app, stele_error **error)
{
    const struct report *report = stele_app_resource(app, "report");
    stele_unit *unit = NULL;
    stele_status status = stele_unit_begin(stele_app_bus(app), NULL, &unit, error);

    if (status == STELE_OK)
        status = extract(unit, error);
    if (unit) {
        const stele_status ended = stele_unit_end(unit, NULL, status == STELE_OK ? error : NULL);

        status = status == STELE_OK ? ended : status;
    }
    printf("loaded %d, sum %" PRId64 "\n", report->loaded, report->sum);
    printf("no number %d, too large %d\n", report->no_number, report->too_large);
    return status;
}

int main(int argc, char **argv)
{
    static const struct stele_module *const modules[] = {&etl, NULL};
    struct report report = {0};
    const struct example example = {modules, "report", &report, run};

    return example_main(argc, argv, &example);
}
