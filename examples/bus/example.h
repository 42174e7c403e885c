/*
 * What the small programs of this folder share: a runtime, real or simulated,
 * and an app on it.
 *
 *     order_chain                      four threads, the system's clock
 *     order_chain --simulated SEED     one thread, virtual time, the seed's order
 *
 * The output is the same in both, whatever the seed.
 */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <stele.h>
#include <stele/app.h>
#include <stele/channel.h>

/* What differs from program to program. */
struct example {
    const struct stele_module *const *modules; /* NULL at the end */
    const char *resource;                      /* the name of what follows; NULL: none */
    void *with;
    stele_status (*run)(stele_app *app, stele_error **error);
};

/* main() of a program: parse, set up, run, take down; a failure goes to standard error. */
int example_main(int argc, char **argv, const struct example *example);

/* Publish a payload and wait for all it causes. */
stele_status example_deliver(stele_app *app, const struct stele_type *type, const void *payload,
                             struct stele_unit_outcome *outcome, stele_error **error);

/* Let time pass: virtual, or real. */
void example_pause(stele_app *app, int64_t milliseconds);

#endif
