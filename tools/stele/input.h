/*
 * Reading text from a file or standard input without ever taking more memory
 * than a limit allows, whatever comes.
 */
#ifndef STELE_TOOLS_INPUT_H
#define STELE_TOOLS_INPUT_H

#include <stele/base.h>

/* More than the largest payload takes as base64 with all attributes. */
enum { INPUT_LINE_MAX = 24 * 1024 * 1024 };

struct input;

enum input_result {
    INPUT_LINE,
    INPUT_LONG, /* a line over INPUT_LINE_MAX, passed over */
    INPUT_END,
    INPUT_FAILED /* told by input_error() */
};

/* Open a file, or standard input for NULL or "-"; NULL with errno set. */
struct input *input_open(const char *path);

/* The next line without its LF or CRLF, lent until the next call. The last line may lack its end. */
enum input_result input_line(struct input *input, struct stele_slice *line);

/* Number of the line last returned, from 1. */
uint64_t input_number(const struct input *input);
/* Bytes of the lines returned so far, and of the whole file; 0 where that is not known. */
uint64_t input_done(const struct input *input);
uint64_t input_total(const struct input *input);
/* The errno of INPUT_FAILED. */
int input_error(const struct input *input);

void input_close(struct input *input);

/* All of standard input, up to `limit` bytes, with a NUL behind it; the caller frees `*memory`. Returns an exit
 * status, the fault told. */
int input_all(const char *command, size_t limit, char **memory, struct stele_slice *text);

#endif
