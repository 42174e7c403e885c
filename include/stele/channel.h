/*
 * stele/channel.h - streams of messages between handlers: broadcast, or shared work.
 *
 * A channel is bounded and closable. On a *broadcast* channel each reader gets
 * every message sent after it joined; on a *work* channel each message goes to
 * one reader, in the order of asking. A sender waits while the channel is full
 * (for a broadcast: while the slowest reader is). After closing, readers get
 * what is left, then STELE_END: nobody polls.
 *
 *     @example channel
 *     stele_status count_readings(stele_channel_reader *reader, size_t *count, stele_error **error)
 *     {
 *         stele_message *reading = NULL;
 *         stele_status status;
 *         while ((status = stele_channel_next(reader, 1000, &reading, error)) == STELE_OK) {
 *             (*count)++;
 *             stele_message_unref(reading);
 *         }
 *         return status == STELE_END ? STELE_OK : status;
 *     }
 *     @end
 *
 * A channel is thread-safe; a reader is used by one thread at a time. What waits,
 * waits as everything does on its runtime: see stele/runtime.h.
 */
#ifndef STELE_CHANNEL_H
#define STELE_CHANNEL_H

#include <stele/base.h>
#include <stele/error.h>
#include <stele/message.h>
#include <stele/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stele_channel stele_channel;
typedef struct stele_channel_reader stele_channel_reader;

enum stele_channel_kind { STELE_BROADCAST, STELE_WORK };

/* A channel for up to `capacity` messages that nobody has taken (default, with 0: 1024). STELE_NO_MEMORY. The runtime must
 * outlive it. */
STELE_API stele_status stele_channel_new(stele_runtime *runtime, enum stele_channel_kind kind, size_t capacity,
                                         stele_channel **out, stele_error **error);
/* Send (one more reference). STELE_TIMEOUT while it is full (0: STELE_OVERLOAD at once), STELE_END when it is closed. A
 * broadcast that nobody has joined keeps nothing. */
STELE_API stele_status stele_channel_send(stele_channel *channel, const stele_message *message, uint32_t timeout_ms,
                                          stele_error **error);
/* No more is sent: readers get what is left. Closing twice is harmless. */
STELE_API void stele_channel_close(stele_channel *channel);
/* Close and free; every reader must have left before. NULL is allowed. */
STELE_API void stele_channel_free(stele_channel *channel);

/* Join as a reader: of what is sent from now on (broadcast), or with the others (work). */
STELE_API stele_status stele_channel_join(stele_channel *channel, stele_channel_reader **out, stele_error **error);
/* The next message; the caller owns one reference. STELE_TIMEOUT; STELE_END, without an error, when the channel is closed
 * and nothing is left. */
STELE_API stele_status stele_channel_next(stele_channel_reader *reader, uint32_t timeout_ms, stele_message **out,
                                          stele_error **error);
/* Leave; what only this reader had not taken is let go. NULL is allowed. */
STELE_API void stele_channel_leave(stele_channel_reader *reader);

#ifdef __cplusplus
}
#endif

#endif
