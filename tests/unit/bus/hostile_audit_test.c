/* The audit file when it is a pipe: without a reader, with one that goes away, with one that does not read. */
#include "tests/unit/bus/registry.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/audit.h"

static const char *make_pipe(void)
{
    const char *path;

    support_temp_dir();
    path = support_temp_path("audit.pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    return path;
}

static int open_reader(const char *path)
{
    const int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    assert_true(reader >= 0);
    return reader;
}

static void tell(struct registry *registry)
{
    const struct stele_observation observation = {.seen = STELE_SEEN_HANDLED, .route = "charge"};

    registry_tell(registry, observation, "order.placed", event_of("order.placed", "7", "root", NULL));
    registry_flush(registry);
}

static uint64_t dropped(struct registry *registry)
{
    struct stele_observer_stats stats;
    stele_error *error = NULL;

    assert_ok(stele__observers_stats(registry->observers, "audit", &stats, &error), error);
    return stats.dropped;
}

static void a_pipe_that_nobody_reads_is_an_error_at_once(void **state)
{
    struct registry registry;
    stele_error *error = NULL;

    (void)state;
    registry_begin(&registry);
    assert_failure(STELE_IO, stele__audit_new(registry.observers, make_pipe(), 0, &error), error);
    assert_message(error, "audit.pipe");
    stele_error_free(error);
    registry_finish(&registry);
}

/* The default action of SIGPIPE would end this program. */
static void a_reader_that_goes_away_ends_nobody_and_its_lines_are_counted(void **state)
{
    struct registry registry;
    const char *path = make_pipe();
    int reader = open_reader(path);
    char bytes[2048];
    ssize_t got;
    sigset_t pending;
    stele_error *error = NULL;

    (void)state;
    signal(SIGPIPE, SIG_DFL);
    registry_begin(&registry);
    assert_ok(stele__audit_new(registry.observers, path, 0, &error), error);
    tell(&registry);
    assert_true(read(reader, bytes, sizeof(bytes)) > 0);
    close(reader);
    tell(&registry);
    tell(&registry);
    assert_int_equal(dropped(&registry), 2);
    assert_int_equal(sigpending(&pending), 0);
    assert_false(sigismember(&pending, SIGPIPE));
    /* The next reader gets whole lines. */
    reader = open_reader(path);
    tell(&registry);
    got = read(reader, bytes, sizeof(bytes));
    assert_true(got > 0);
    assert_int_equal(bytes[0], '{');
    assert_int_equal(bytes[got - 1], '\n');
    close(reader);
    registry_finish(&registry);
}

static void a_reader_that_does_not_read_holds_nobody_up(void **state)
{
    enum { MORE_THAN_A_PIPE_HOLDS = 3000 };
    struct registry registry;
    const char *path = make_pipe();
    const int reader = open_reader(path);
    stele_error *error = NULL;

    (void)state;
    registry_begin(&registry);
    assert_ok(stele__audit_new(registry.observers, path, 0, &error), error);
    for (int i = 0; i < MORE_THAN_A_PIPE_HOLDS; i++)
        tell(&registry);
    assert_true(dropped(&registry) > 0);
    close(reader);
    registry_finish(&registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_pipe_that_nobody_reads_is_an_error_at_once),
        support_test(a_reader_that_goes_away_ends_nobody_and_its_lines_are_counted),
        support_test(a_reader_that_does_not_read_holds_nobody_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
