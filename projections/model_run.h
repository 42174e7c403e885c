/*
 * A model at work: on a handle of views, or as the subscriber of a log.
 *
 *     stele__model_run        its statements, run for one event at a time
 *     stele__model_follower   a run, and the target (target.h) that it fills: all that a subscriber needs
 */
#ifndef STELE_PROJECTIONS_MODEL_RUN_H
#define STELE_PROJECTIONS_MODEL_RUN_H

#include "projections/model.h"
#include "projections/target.h"

/* A model's statements, prepared on a handle of views when first used there. Used by one thread at a time. */
struct stele__model_run;
/* Checks the model against the types of the store, as stele_model_check(). */
stele_status stele__model_run_new(const stele_model *model, stele_store *store,
                                  void (*warning)(void *context, const char *text), void *context,
                                  struct stele__model_run **out, stele_error **error);
/* Let the handle go that it was used on, before that is closed. */
void stele__model_run_forget(struct stele__model_run *run);
/* NULL is allowed. */
void stele__model_run_free(struct stele__model_run *run);
/* Run the statements for an event, inside a transaction of `views`, which is to be rolled back if they fail. Told with
 * "path", "line", "projection", "type" and "position". */
stele_status stele__model_apply(struct stele__model_run *run, stele_views *views, const stele_message *event,
                                stele_error **error);

/* Make the tables of a model, inside a transaction. */
stele_status stele__model_make_tables(const stele_model *model, stele_views *views, stele_error **error);
/* Are they as the model makes them? STELE_NOT_FOUND, STELE_INVALID with "table". */
stele_status stele__model_check_tables(const stele_model *model, stele_views *views, stele_error **error);

/* Embedded by its owner. */
struct stele__model_follower {
    const stele_model *model;
    struct stele__target target;
    struct stele__model_run *run;
    int64_t schema; /* version of the schema that was looked at; 0: none */
    const stele_views *schema_of;
};

/* Open what the model is run into: `path` NULL is the store's own file. To be closed in any case, when the subscription is
 * freed. Errors as stele_model_start(). */
stele_status stele__model_follower_open(struct stele__model_follower *follower, const stele_model *model,
                                        stele_store *store, const char *path, bool rebuild, stele_error **error);
void stele__model_follower_close(struct stele__model_follower *follower);

/* As in struct stele_subscriber, with the follower as context; types, receive and the four functions are set in `out`. */
void stele__model_follower_subscribe(const struct stele__model_follower *follower, struct stele_subscriber *out);

#endif
