/*
 * One line of a file of statements:
 *
 *   reference,time,kind,account,counter,amount,text
 *   TX-000123,2025-03-01T09:30:00Z,transfer,10000017,10000042,125.00,"Rent, March"
 *
 * Fields may stand in double quotes, a quote inside is doubled (RFC 4180); a
 * field does not go beyond its line. Kinds: open (text is the owner's name),
 * deposit, withdraw, transfer (counter is the receiver), suspend, reactivate,
 * close.
 */
#ifndef BANK_LINE_H
#define BANK_LINE_H

#include "post.h"

#define LINE_HEADER "reference,time,kind,account,counter,amount,text"

struct line {
    int64_t time;
    struct post_line post; /* what it asks for; its `line` is the same for the same bytes, in whichever file and run */
};

enum { LINE_FAULT_SIZE = 256 };

/*
 * Take a line apart, in place: the texts point into `bytes`, which have a NUL
 * at `size`. False, with the reason in `fault`, if it is not as described
 * above. The text is not looked at: its rules stand with the commands.
 */
bool line_parse(char *bytes, size_t size, struct line *out, char fault[LINE_FAULT_SIZE]);

#endif
