/*
 * The dead letters there are, in order of their first burial: what the events of
 * "$dead" fold to, and all there is without a store. Owner only.
 */
#ifndef STELE_STORE_YARD_H
#define STELE_STORE_YARD_H

#include <stele/deadletters.h>

#include <stele/upcast.h>

#include "base/map.h"

/* A dead letter. */
struct stele__grave {
    struct stele_dead_letter letter; /* its texts are the grave's; the message is NULL */
    stele_message *message;          /* if it is kept here; else it is in the store, by `position` or `version` */
    uint64_t version;                /* in "$dead", of the event that has the whole message; 0: none has */
    bool is_local;                   /* the store does not know of it */
    bool is_delivering;              /* its route has it again */

    char *key; /* route, NUL, id, NUL */
    size_t key_size;
    char *type, *code, *text;
    struct stele__grave *previous, *next;
};

/* The id of a message's letter: parts of an event that upcasters split share the message's. */
enum { STELE__LETTER_ID_MAX = STELE_ID_MAX + 12 };
void stele__letter_id(const stele_message *message, char out[STELE__LETTER_ID_MAX + 1]);

struct stele__burial;

/* Is a burial to be let in? STELE_NO_MEMORY if that cannot be noted. */
typedef stele_status stele__yard_gate(void *context, const struct stele__burial *burial, bool *is_let_in,
                                      stele_error **error);

struct stele__yard {
    struct stele__map graves; /* by key */
    const char *only;         /* the route whose letters are kept; NULL: of all */
    stele__yard_gate *gate;   /* asked for each burial of these that is in the stream; NULL: all are let in */
    void *gate_context;
    struct stele__grave *first, *last;
    size_t requeued; /* of those in the map */
};

/* What a burial says. */
struct stele__burial {
    const char *route, *id, *type, *code, *text;
    uint64_t attempts;
    uint64_t position;
    uint64_t version;
    uint64_t said_at; /* version of the burial itself; 0: it is not in the stream */
    int64_t time;
    stele_message *message; /* a reference that the grave takes; NULL: none */
    bool is_local;
};

void stele__yard_init(struct stele__yard *yard);
void stele__yard_fini(struct stele__yard *yard);

/* Bury, for the first time or again. False when memory is out: nothing has changed. */
bool stele__yard_bury(struct stele__yard *yard, const struct stele__burial *burial);
/* NULL if there is none. */
struct stele__grave *stele__yard_find(const struct stele__yard *yard, const char *route, const char *id);
void stele__yard_set_requeued(struct stele__yard *yard, struct stele__grave *grave, bool is_requeued);
void stele__yard_remove(struct stele__yard *yard, struct stele__grave *grave);

/* Those that lie there: buried, and not requeued. */
static inline size_t stele__yard_count(const struct stele__yard *yard)
{
    return yard->graves.count - yard->requeued;
}

/* Does a letter fit all members of a query but its limit? */
bool stele__grave_fits(const struct stele__grave *grave, const struct stele_dead_query *query);

#endif
