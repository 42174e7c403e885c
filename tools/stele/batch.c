/*
 * Collecting events. Two events with one id cannot be in one append, so their
 * ids are kept in a hash table with open addressing, at most half full.
 */
#include "batch.h"

#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* What a stored event takes beyond its texts and its payload, generously. */
enum { ENTRY_BYTES = 256 };

void batch_init(struct batch *batch, size_t capacity)
{
    *batch = (struct batch){.capacity = capacity, .slot_count = 16};
    while (batch->slot_count < 2 * capacity)
        batch->slot_count *= 2;
    batch->entries = tool_have(calloc(capacity, sizeof(*batch->entries)));
    batch->slots = tool_have(calloc(batch->slot_count, sizeof(*batch->slots)));
}

void batch_clear(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        stele_message_unref(batch->entries[i].event);
        free(batch->entries[i].stream);
    }
    memset(batch->slots, 0, batch->slot_count * sizeof(*batch->slots));
    batch->count = 0;
    batch->bytes = 0;
}

void batch_fini(struct batch *batch)
{
    batch_clear(batch);
    free(batch->entries);
    free(batch->slots);
}

/* FNV-1a, 64 bits. */
static uint64_t hash(struct stele_slice text)
{
    uint64_t value = 14695981039346656037u;
    for (size_t i = 0; i < text.size; i++)
        value = (value ^ (unsigned char)text.data[i]) * 1099511628211u;
    return value;
}

/* The slot that holds the id, or the free one where it belongs. */
static size_t *slot_of(const struct batch *batch, struct stele_slice id)
{
    for (uint64_t at = hash(id);; at++) {
        size_t *slot = &batch->slots[at & (batch->slot_count - 1)];
        if (*slot == 0)
            return slot;
        const struct stele_slice other = stele_message_id(batch->entries[*slot - 1].event);
        if (other.size == id.size && memcmp(other.data, id.data, id.size) == 0)
            return slot;
    }
}

static size_t bytes_of(const stele_message *event, const char *stream)
{
    size_t bytes = ENTRY_BYTES + strlen(stream) + stele_message_payload(event).size + stele_message_id(event).size +
                   stele_message_source(event).size + stele_message_type(event).size +
                   stele_message_subject(event).size + stele_message_datacontenttype(event).size +
                   stele_message_dataschema(event).size + stele_message_correlationid(event).size +
                   stele_message_causationid(event).size + stele_message_traceparent(event).size;
    struct stele_extension extension;
    for (size_t i = 0; stele_message_extension(event, i, &extension); i++)
        bytes += sizeof(extension) + (extension.kind == STELE_EXTENSION_TEXT ? extension.text.size : 0);
    return bytes;
}

bool batch_add(struct batch *batch, stele_message *event, char *stream, uint64_t line)
{
    size_t *slot = slot_of(batch, stele_message_id(event));
    const size_t bytes = bytes_of(event, stream);
    if (batch->count > 0 &&
        (batch->count == batch->capacity || batch->bytes + bytes > STELE_BATCH_BYTES_MAX || *slot != 0))
        return false;
    batch->entries[batch->count++] = (struct batch_entry){event, stream, line};
    batch->bytes += bytes;
    *slot = batch->count;
    return true;
}

static struct stele_write *writes_of(const struct batch_entry *entries, size_t count)
{
    struct stele_write *writes = tool_resize(NULL, (count + 1) * sizeof(*writes));
    for (size_t i = 0; i < count; i++)
        writes[i] = (struct stele_write){entries[i].stream, entries[i].event};
    return writes;
}

stele_status batch_append(stele_store *store, const struct batch_entry *entries, size_t count,
                          struct stele_appended *result, stele_error **error)
{
    struct stele_write *writes = writes_of(entries, count);
    const struct stele_batch batch = {.writes = writes, .write_count = count};
    const stele_status status = stele_append_batch(store, &batch, result, error);
    free(writes);
    return status;
}

stele_status batch_append_async(stele_store *store, const struct batch *batch, stele_append_done *done, void *context,
                                stele_error **error)
{
    struct stele_write *writes = writes_of(batch->entries, batch->count);
    const struct stele_batch append = {.writes = writes, .write_count = batch->count};
    const stele_status status = stele_append_async(store, &append, done, context, error);
    free(writes);
    return status;
}
