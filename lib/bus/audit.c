/*
 * The audit file: each observation as one line of JSON, in one write(2).
 *
 *     observation ──► stele__audit_line ──► JSON ──► file, at its end
 *
 * A line that was cut short, as a full disk does, is ended with a newline
 * before the next one, so that all others stay whole.
 *
 * What can fail: opening the file; later a write or memory, which is logged once
 * for as long as it lasts, and counted as dropped.
 */
#include "bus/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "bus/describe.h"
#include "message/value.h"

#define AUDIT_NAME "audit"

#define LINE(FIELD, T) \
    FIELD(T, TIME, time) \
    FIELD(T, TEXT, seen) \
    FIELD(T, TEXT, type) \
    FIELD(T, OPTIONAL(TEXT), route) \
    FIELD(T, OPTIONAL(TEXT), id) \
    FIELD(T, OPTIONAL(TEXT), source) \
    FIELD(T, OPTIONAL(TEXT), subject) \
    FIELD(T, OPTIONAL(TEXT), trace) \
    FIELD(T, OPTIONAL(UINT64), call) \
    FIELD(T, OPTIONAL(UINT64), parent_call) \
    FIELD(T, OPTIONAL(UINT64), attempt) \
    FIELD(T, OPTIONAL(UINT64), hop) \
    FIELD(T, OPTIONAL(INT64), duration_ns) \
    FIELD(T, UINT64, count) \
    FIELD(T, TEXT, status) \
    FIELD(T, OPTIONAL(TEXT), text)
STELE_DECLARE_STRUCT(stele__audit_line, LINE);
STELE_DEFINE_STRUCT(stele__audit_line, LINE);

struct audit {
    struct stele_observer table;
    struct stele__observers *observers;
    int file;
    bool is_pipe;    /* its reader may go away, or be slow: who writes neither waits nor dies of it */
    bool is_torn;    /* the file ends inside a line */
    bool has_failed; /* the last write did, and was logged */
    struct stele__buffer line;
    struct stele_arena arena; /* of texts that are not UTF-8 */
};

static struct stele_optional_uint64 unless_zero(uint64_t value)
{
    const struct stele_optional_uint64 number = {value, value != 0};

    return number;
}

/* An attribute with a NUL behind it, NULL if it is absent or empty; false when memory is out. */
static bool copy(struct stele_slice slice, stele_arena *arena, const char **out)
{
    *out = slice.size ? stele_arena_text(arena, slice.data, slice.size) : NULL;
    return slice.size == 0 || *out;
}

/* A text as far as there is one, its bytes UTF-8; false when memory is out. */
static bool clean(const char *text, stele_arena *arena, const char **out)
{
    *out = *text ? stele__clean_text(text, arena) : NULL;
    return !*text || *out;
}

/* The texts of a line, in the arena where they cannot be borrowed; false when memory is out. */
static bool set_texts(const struct stele_observation *seen, stele_arena *arena, struct stele__audit_line *line)
{
    const stele_message *const message = seen->message;

    if (!clean(seen->route, arena, &line->route) || !clean(seen->text, arena, &line->text))
        return false;
    return !message || (copy(stele_message_id(message), arena, &line->id) &&
                        copy(stele_message_source(message), arena, &line->source) &&
                        copy(stele_message_subject(message), arena, &line->subject) &&
                        copy(stele__chain_of(message), arena, &line->trace));
}

static stele_status write_json(struct audit *audit, const struct stele_observation *seen)
{
    const bool is_end = (seen->seen & (STELE_SEEN_HANDLED | STELE_SEEN_FAILED | STELE_SEEN_RETRIED)) != 0;
    struct stele__audit_line line = {
        .time = seen->time,
        .seen = stele__seen_name(seen->seen),
        .type = seen->observed,
        .call = unless_zero(seen->call),
        .parent_call = unless_zero(seen->parent_call),
        .attempt = unless_zero(seen->attempt),
        .hop = unless_zero(seen->hop),
        .duration_ns = {seen->duration_ns, is_end},
        .count = seen->count,
        .status = stele_status_name(seen->status),
    };

    if (!set_texts(seen, &audit->arena, &line))
        return STELE_NO_MEMORY;
    return stele__value_to_json(&stele__audit_line_type, &line, &audit->line, NULL);
}

/* As write(2), but the process is sent no SIGPIPE when nobody reads any more. */
static ssize_t write_to_pipe(int file, const void *bytes, size_t size)
{
    sigset_t pipe_signal, before, pending;
    ssize_t written;
    int number, signal;

    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    written = write(file, bytes, size);
    number = errno;
    /* One that somebody else holds back is taken with it: it says the same. */
    if (written < 0 && number == EPIPE && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1)
        sigwait(&pipe_signal, &signal);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = number;
    return written;
}

/* Write all of the buffer; STELE_IO with `errno` set. */
static stele_status write_line(struct audit *audit)
{
    const char *at = audit->line.data;
    size_t left = audit->line.size;

    while (left > 0) {
        const ssize_t written = audit->is_pipe ? write_to_pipe(audit->file, at, left) : write(audit->file, at, left);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return STELE_IO;
        at += written;
        left -= (size_t)written;
        audit->is_torn = left > 0;
    }
    return STELE_OK;
}

static void see(void *context, const struct stele_observation *seen)
{
    struct audit *audit = context;
    const char *why = "out of memory";
    stele_status status;

    stele__buffer_reset(&audit->line);
    stele_arena_reset(&audit->arena);
    if (audit->is_torn)
        stele__buffer_add_byte(&audit->line, '\n');
    status = write_json(audit, seen);
    stele__buffer_add_byte(&audit->line, '\n');
    if (status == STELE_OK)
        status = audit->line.failed;
    if (status == STELE_OK && (status = write_line(audit)) != STELE_OK)
        why = strerror(errno);
    if (status != STELE_OK) {
        stele__observers_lost(audit->observers, AUDIT_NAME);
        if (!audit->has_failed)
            STELE__LOG(STELE_LOG_ERROR, "audit is not written", {"why", why});
    }
    audit->has_failed = status != STELE_OK;
}

static void free_audit(void *context)
{
    struct audit *audit = context;

    if (audit->file >= 0)
        close(audit->file);
    stele__buffer_fini(&audit->line);
    stele__arena_fini(&audit->arena);
    stele__free(audit, sizeof(*audit));
}

static stele_status open_file(struct audit *audit, const char *path, stele_error **error)
{
    enum { MODE = 0640 };
    struct stat facts;

    /* Without a reader a pipe is opened at once, or never. */
    audit->file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, MODE);
    if (audit->file < 0 || fstat(audit->file, &facts) != 0)
        return stele__fail(error, errno == EACCES || errno == EPERM || errno == EROFS ? STELE_DENIED : STELE_IO,
                           "audit %s: %s", path, strerror(errno));
    audit->is_pipe = S_ISFIFO(facts.st_mode);
    if (!audit->is_pipe && fcntl(audit->file, F_SETFL, O_APPEND) != 0)
        return stele__fail(error, STELE_IO, "audit %s: %s", path, strerror(errno));
    return STELE_OK;
}

stele_status stele__audit_new(struct stele__observers *observers, const char *path, unsigned kinds, stele_error **error)
{
    struct audit *audit = stele__alloc(sizeof(*audit));
    stele_status status;

    if (!audit)
        return stele__fail_memory(error);
    audit->table = (struct stele_observer){.name = AUDIT_NAME, .kinds = kinds, .see = see, .free = free_audit};
    audit->observers = observers;
    stele__buffer_init(&audit->line);
    stele__arena_init(&audit->arena);
    status = open_file(audit, path, error);
    if (status == STELE_OK)
        status = stele__observers_add(observers, &audit->table, audit, error);
    if (status != STELE_OK)
        free_audit(audit);
    return status;
}
