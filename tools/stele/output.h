/*
 * Standard output, whose faults are told once.
 *
 * A write that fails is remembered: the call returns false, the command stops
 * and returns as if done, and output_close() at the end of the program tells
 * it and turns the exit status into 1. A reader that went away (a closed
 * pipe) is no fault and is not told.
 */
#ifndef STELE_TOOLS_OUTPUT_H
#define STELE_TOOLS_OUTPUT_H

#include <stele/base.h>

/* Prepare the descriptors 0 to 2, ignore SIGPIPE, and arrange for output_close() at exit. */
void output_start(void);

/* Write; false when nothing more can be written. */
bool output_bytes(const char *bytes, size_t size);
bool output_text(const char *text);
bool output_format(const char *format, ...) STELE_PRINTF(1, 2);
bool output_flush(void);

/* A text as a JSON string, quotes included. */
bool output_json_string(struct stele_slice text);

/* Whether standard output failed, or its reader has gone. */
bool output_is_lost(void);

bool output_is_terminal(void);
/* A terminal that wants colours (NO_COLOR is not set, TERM is not "dumb"). */
bool output_is_coloured(void);
/* Columns of the terminal; 80 where it does not say. */
size_t output_columns(void);

#endif
