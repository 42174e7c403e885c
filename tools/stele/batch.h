/*
 * Events on their way into a store, collected into atomic appends.
 */
#ifndef STELE_TOOLS_BATCH_H
#define STELE_TOOLS_BATCH_H

#include <stele.h>

/* One event, and the line of the input that it stood on. */
struct batch_entry {
    stele_message *event;
    char *stream;
    uint64_t line;
};

struct batch {
    struct batch_entry *entries;
    size_t count;
    size_t capacity; /* events of one append */
    size_t bytes;    /* of one append, at least what the store counts */
    size_t *slots;   /* hash table: index + 1 of the event with an id, 0 for none */
    size_t slot_count;
};

void batch_init(struct batch *batch, size_t capacity);
void batch_fini(struct batch *batch);

/*
 * Take over an event and its stream's name. False if it does not fit: there is
 * no room for it, or an event with its id is there. An empty batch takes any.
 */
bool batch_add(struct batch *batch, stele_message *event, char *stream, uint64_t line);

/* Forget and free all entries. */
void batch_clear(struct batch *batch);

/* Append the `count` entries at `entries` in one atomic step, whatever their streams' versions. */
stele_status batch_append(stele_store *store, const struct batch_entry *entries, size_t count,
                          struct stele_appended *result, stele_error **error);

/* The same for a whole batch, as stele_append_async(). The batch may be forgotten at once. */
stele_status batch_append_async(stele_store *store, const struct batch *batch, stele_append_done *done, void *context,
                                stele_error **error);

#endif
