/* What the contract tests share, and the program that runs them over each backend. */
#include "tests/contract/contract.h"

#include <stdio.h>
#include <string.h>

enum { NUMBER_SIZE = 9, URL_SIZE = 8192, NAME_SIZE = 256 };

static const char *const backends[] = {
    "memory:",
    "sqlite:TEMP/contract.db",
};

static const char *backend; /* the one under test, as in the table */

/* --- The backend under test ------------------------------------------------------- */

const char *contract_url(void)
{
    static char url[URL_SIZE];
    const char *temp = strstr(backend, "TEMP");

    if (!temp)
        return backend;
    snprintf(url, sizeof(url), "%.*s%s%s", (int)(temp - backend), backend, support_temp_dir(), temp + strlen("TEMP"));
    return url;
}

bool contract_is_durable(void)
{
    return strncmp(backend, "memory:", strlen("memory:")) != 0;
}

stele_store *contract_open_with(const struct stele_store_options *options)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    assert_ok(stele_store_open(contract_url(), options, &store, &error), error);
    return store;
}

stele_store *contract_open(void)
{
    return contract_open_with(NULL);
}

stele_store *contract_reopen(stele_store *store)
{
    if (!contract_is_durable())
        return store;
    stele_store_close(store);
    return contract_open();
}

/* --- Events ------------------------------------------------------------------------- */

/* MessagePack's int 64, written by hand. */
static void encode_number(int64_t number, char bytes[NUMBER_SIZE])
{
    bytes[0] = (char)0xd3;
    for (int i = 1; i < NUMBER_SIZE; i++)
        bytes[i] = (char)((uint64_t)number >> (8 * (8 - i)));
}

int64_t contract_number(const stele_message *message)
{
    const struct stele_slice payload = stele_message_payload(message);
    uint64_t number = 0;

    assert_int_equal(payload.size, NUMBER_SIZE);
    for (size_t i = 1; i < NUMBER_SIZE; i++)
        number = number << 8 | (unsigned char)payload.data[i];
    return (int64_t)number;
}

stele_message *contract_event(const char *type, int64_t number, const struct stele_message_options *options)
{
    char bytes[NUMBER_SIZE];
    const struct stele_raw_message raw = {
        .kind = STELE_EVENT,
        .type = type,
        .format = STELE_PAYLOAD_MSGPACK,
        .payload = {bytes, sizeof(bytes)},
    };
    stele_message *event = NULL;
    stele_error *error = NULL;

    encode_number(number, bytes);
    assert_ok(stele_message_new_raw(&raw, options, &event, &error), error);
    return event;
}

struct stele_appended contract_append_type(stele_store *store, const char *stream, const char *type, int64_t number)
{
    stele_message *event = contract_event(type, number, NULL);
    struct stele_appended result = {0};
    stele_error *error = NULL;

    assert_ok(stele_append(store, stream, stele_expect_any(), event, &result, &error), error);
    stele_message_unref(event);
    return result;
}

struct stele_appended contract_append(stele_store *store, const char *stream, int64_t number)
{
    return contract_append_type(store, stream, "thing.happened", number);
}

stele_status contract_try(stele_store *store, const char *stream, struct stele_expected expected, int64_t number,
                          stele_error **error)
{
    stele_message *event = contract_event("thing.happened", number, NULL);
    const stele_status status = stele_append(store, stream, expected, event, NULL, error);

    stele_message_unref(event);
    return status;
}

/* --- Reading -------------------------------------------------------------------------- */

static void see(const stele_message *message, struct contract_seen *out)
{
    const struct stele_slice stream = stele_message_stream(message);

    out->position = stele_message_position(message);
    out->version = stele_message_version(message);
    out->number = contract_number(message);
    snprintf(out->stream, sizeof(out->stream), "%.*s", STELE_SLICE(stream));
}

size_t contract_read(stele_store *store, const struct stele_query *query, struct contract_seen *seen, size_t room,
                     struct stele_head *head)
{
    const stele_message *message = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    size_t count = 0;

    assert_ok(stele_read(store, query, &cursor, &error), error);
    for (;;) {
        assert_ok(stele_cursor_next(cursor, &message, &error), error);
        if (!message)
            break;
        if (seen) {
            assert_true(count < room);
            see(message, &seen[count]);
        }
        count++;
    }
    if (head)
        *head = stele_cursor_head(cursor);
    stele_cursor_close(cursor);
    return count;
}

size_t contract_count(stele_store *store, const struct stele_query *query)
{
    return contract_read(store, query, NULL, 0, NULL);
}

uint64_t contract_version(stele_store *store, const char *stream)
{
    struct stele_head head = {0};

    contract_read(store, QUERY(.stream = stream), NULL, 0, &head);
    return head.version;
}

uint64_t contract_head(stele_store *store)
{
    struct stele_head head = {0};

    contract_read(store, QUERY(.limit = 0), NULL, 0, &head);
    return head.position;
}

void contract_assert_numbers(stele_store *store, const struct stele_query *query, const int64_t *numbers, size_t count,
                             const char *file, int line)
{
    struct contract_seen seen[64];
    const size_t found = contract_read(store, query, seen, sizeof(seen) / sizeof(seen[0]), NULL);
    bool equal = found == count;

    for (size_t i = 0; equal && i < count; i++)
        equal = seen[i].number == numbers[i];
    if (equal)
        return;
    print_error("%zu events instead of %zu:", found, count);
    for (size_t i = 0; i < found; i++)
        print_error(" %d", (int)seen[i].number);
    print_error("\n");
    _fail(file, line);
}

/* --- The program ------------------------------------------------------------------------ */

static int run(const char *url)
{
    static const struct contract_group *const groups[] = {
        &contract_append_group, &contract_repeat_group,  &contract_read_group,     &contract_filter_group,
        &contract_limit_group,  &contract_life_group,    &contract_thread_group,   &contract_async_group,
        &contract_ledger_group, &contract_outcome_group, &contract_snapshot_group, &contract_checkpoint_group,
        &contract_part_group,   &contract_upcast_group,  &contract_types_group,
    };
    int failed = 0;

    backend = url;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        char name[NAME_SIZE];

        snprintf(name, sizeof(name), "%s over %s", groups[i]->name, url);
        failed += _cmocka_run_group_tests(name, groups[i]->tests, groups[i]->count, NULL, NULL) != 0;
    }
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;

    if (argc > 1)
        for (int i = 1; i < argc; i++)
            failed += run(argv[i]);
    else
        for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
            failed += run(backends[i]);
    return failed != 0;
}
