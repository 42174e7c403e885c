/*
 * Reading text. Blocks are read into one buffer; lines are lent out of it. The
 * buffer grows only for a line that does not fit, up to INPUT_LINE_MAX; a
 * longer line is passed over in place. Fails as read(2) does.
 *
 *   buffer:  [ returned | start .. scanned | .. end | free .. capacity ]
 */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

enum { INPUT_BLOCK = 64 * 1024 };

struct input {
    int descriptor;
    char *buffer;
    size_t start;
    size_t scanned; /* no line feed before here */
    size_t end;
    size_t capacity;
    bool at_end;
    int error;
    uint64_t number;
    uint64_t done;
    uint64_t total;
};

struct input *input_open(const char *path)
{
    const bool standard = path == NULL || strcmp(path, "-") == 0;
    const int descriptor = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return NULL;
    struct stat facts = {0};
    if (fstat(descriptor, &facts) == 0 && S_ISDIR(facts.st_mode)) {
        if (!standard)
            close(descriptor);
        errno = EISDIR;
        return NULL;
    }
    struct input *input = tool_have(calloc(1, sizeof(*input)));
    input->descriptor = descriptor;
    if (S_ISREG(facts.st_mode) && facts.st_size > 0)
        input->total = (uint64_t)facts.st_size;
    return input;
}

void input_close(struct input *input)
{
    if (input->descriptor != STDIN_FILENO)
        close(input->descriptor);
    free(input->buffer);
    free(input);
}

static ssize_t read_block(int descriptor, char *into, size_t size)
{
    ssize_t got;
    do {
        got = read(descriptor, into, size);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* Read more behind `end`; false on failure. */
static bool fill(struct input *input)
{
    if (input->start > 0) {
        memmove(input->buffer, input->buffer + input->start, input->end - input->start);
        input->scanned -= input->start;
        input->end -= input->start;
        input->start = 0;
    }
    if (input->capacity - input->end < INPUT_BLOCK) {
        input->capacity = input->capacity * 2 + INPUT_BLOCK;
        input->buffer = tool_resize(input->buffer, input->capacity);
    }
    const ssize_t got = read_block(input->descriptor, input->buffer + input->end, INPUT_BLOCK);
    if (got < 0) {
        input->error = errno;
        return false;
    }
    input->at_end = got == 0;
    input->end += (size_t)got;
    return true;
}

/* Bring a whole line into the buffer. Of one that is too long only the end stays. */
static enum input_result gather(struct input *input, size_t *length)
{
    bool too_long = false;
    for (;;) {
        const char *feed = NULL;
        if (input->end > input->scanned)
            feed = memchr(input->buffer + input->scanned, '\n', input->end - input->scanned);
        if (feed != NULL) {
            *length = (size_t)(feed - input->buffer) - input->start;
            break;
        }
        input->scanned = input->end;
        if (input->end - input->start > INPUT_LINE_MAX) {
            too_long = true;
            input->done += input->end - input->start;
            input->start = input->end;
        }
        if (input->at_end) {
            *length = input->end - input->start;
            if (*length == 0 && !too_long)
                return INPUT_END;
            break;
        }
        if (!fill(input))
            return INPUT_FAILED;
    }
    return too_long || *length > INPUT_LINE_MAX ? INPUT_LONG : INPUT_LINE;
}

enum input_result input_line(struct input *input, struct stele_slice *line)
{
    size_t length = 0;
    const enum input_result result = gather(input, &length);
    if (result != INPUT_LINE && result != INPUT_LONG)
        return result;
    const char *text = input->buffer + input->start;
    const size_t ended = input->start + length < input->end ? 1 : 0;
    input->number++;
    input->start += length + ended;
    input->scanned = input->start;
    input->done += length + ended;
    if (length > 0 && text[length - 1] == '\r')
        length--;
    *line = (struct stele_slice){text, length};
    return result;
}

uint64_t input_number(const struct input *input)
{
    return input->number;
}

uint64_t input_done(const struct input *input)
{
    return input->done;
}

uint64_t input_total(const struct input *input)
{
    return input->total;
}

int input_error(const struct input *input)
{
    return input->error;
}

int input_all(const char *command, size_t limit, char **memory, struct stele_slice *text)
{
    size_t capacity = 0, size = 0;
    for (;;) {
        if (capacity - size < INPUT_BLOCK) {
            capacity = capacity * 2 + INPUT_BLOCK;
            *memory = tool_resize(*memory, capacity);
        }
        const ssize_t got = read_block(STDIN_FILENO, *memory + size, INPUT_BLOCK - 1);
        if (got < 0) {
            tool_say(command, "standard input: %s", strerror(errno));
            return TOOL_FAILED;
        }
        size += (size_t)got;
        if (size > limit) {
            tool_say(command, "standard input: more than %zu bytes", limit);
            return TOOL_FAILED;
        }
        if (got == 0)
            break;
    }
    (*memory)[size] = '\0';
    *text = (struct stele_slice){*memory, size};
    return TOOL_DONE;
}
