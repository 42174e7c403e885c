/* Dead letters chosen by a query: copies, which live on their own. */
#ifndef STELE_STORE_DEAD_CHOICE_H
#define STELE_STORE_DEAD_CHOICE_H

#include "store/dead_log.h"

/* A letter as it was when it was chosen; all of it lives in an arena but the reference to the message. */
struct stele__chosen {
    struct stele_dead_letter letter;
    stele_message *message;
    uint64_t version;
    bool is_local;
};

/* What was chosen, and for which store. */
struct stele__choice {
    stele_store *store; /* may be NULL */
    stele_arena *arena;
    struct stele__chosen *all;
    size_t count;
};

/* The query, or the one that all letters fit for NULL; STELE_INVALID if it is made for another library. */
stele_status stele__choice_query(const struct stele_dead_query *query, struct stele_dead_query *out,
                                 stele_error **error);
/* Choose into what is zeroed but for the store. STELE_NO_MEMORY. */
stele_status stele__choice_take(struct stele__choice *choice, const struct stele__yard *yard,
                                const struct stele_dead_query *query, stele_error **error);
/* Also of a choice that was not taken. */
void stele__choice_fini(struct stele__choice *choice);

/* Visit one with its message, which is read from the store if need be; false if the visitor wants no more. */
bool stele__chosen_show(stele_store *store, struct stele__chosen *chosen, stele_dead_visit *visit, void *context);
/* Visit each with its message. */
void stele__choice_show(struct stele__choice *choice, stele_dead_visit *visit, void *context);
/* Mark those that the store knows; `*count` is how many, on failure too. */
stele_status stele__choice_mark(const struct stele__choice *choice, enum stele__dead_mark mark, size_t *count,
                                stele_error **error);

#endif
