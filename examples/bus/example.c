#include "example.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, STOP_MS = 5000 };

struct arguments {
    bool is_simulated;
    uint64_t seed;
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    char *end = NULL;

    if (key != 's')
        return key == ARGP_KEY_ARG ? (argp_error(state, "there are no arguments"), EINVAL) : ARGP_ERR_UNKNOWN;
    errno = 0;
    arguments->is_simulated = true;
    arguments->seed = strtoull(value, &end, 10);
    if (errno || end == value || *end)
        argp_error(state, "a seed is a number, not %s", value);
    return 0;
}

static const struct argp_option options[] = {
    {"simulated", 's', "SEED", 0, "Run in virtual time, in the order of this seed", 0},
    {0},
};
static const struct argp argp = {options, parse_option, NULL, "A small program on a bus.", NULL, NULL, NULL};

static stele_status run_app(stele_runtime *runtime, const struct example *example, stele_error **error)
{
    stele_app *app = NULL;
    stele_status status = stele_app_new(runtime, NULL, &app, error);

    if (status == STELE_OK && example->resource)
        status = stele_app_provide(app, example->resource, example->with, error);
    if (status == STELE_OK)
        status = stele_app_mount(app, example->modules, error);
    if (status == STELE_OK)
        status = stele_app_start(app, error);
    if (status == STELE_OK)
        status = example->run(app, error);
    if (status == STELE_OK)
        status = stele_app_stop(app, STOP_MS, NULL, error);
    stele_app_free(app);
    return status;
}

int example_main(int argc, char **argv, const struct example *example)
{
    struct arguments arguments = {0};
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;
    stele_status status;

    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    status = arguments.is_simulated ? stele_runtime_simulated(arguments.seed, &runtime, &error)
                                    : stele_runtime_new(THREADS, NULL, &runtime, &error);
    if (status == STELE_OK)
        status = run_app(runtime, example, &error);
    if (status != STELE_OK) {
        fprintf(stderr, "%s\n", error ? stele_error_message(error) : stele_status_text(status));
        if (arguments.is_simulated)
            fprintf(stderr, "(seed %llu)\n", (unsigned long long)arguments.seed);
    }
    stele_error_free(error);
    stele_runtime_free(runtime);
    return status == STELE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

stele_status example_deliver(stele_app *app, const struct stele_type *type, const void *payload,
                             struct stele_unit_outcome *outcome, stele_error **error)
{
    stele_message *message = NULL;
    stele_status status = stele_message_new(type, payload, NULL, &message, error);

    if (status == STELE_OK)
        status = stele_deliver(stele_app_bus(app), message, NULL, outcome, error);
    stele_message_unref(message);
    return status;
}

void example_pause(stele_app *app, int64_t milliseconds)
{
    const struct stele_clock *clock = stele_runtime_clock(stele_bus_runtime(stele_app_bus(app)));

    clock->pause(clock->context, milliseconds * 1000000);
}
