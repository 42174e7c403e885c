/* Reads line by line; each line is taken apart from its left end. */
#include "tests/unit/bus/exposition.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 1000, LINE_MAX_SIZE = 512 };

struct reading {
    char family[LINE_MAX_SIZE]; /* the one whose samples follow */
    char type[16];
    char families[LINES_MAX][64];
    size_t family_count;
    char samples[LINES_MAX][LINE_MAX_SIZE];
    size_t sample_count;
    const char *why;
};

/* The length of a name at the start of a text: letters, digits, '_' and, if allowed, ':'; 0 if there is none. */
static size_t name_length(const char *text, bool with_colons)
{
    size_t length = 0;

    if (!isalpha((unsigned char)*text) && *text != '_')
        return 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_' || (with_colons && text[length] == ':'))
        length++;
    return length;
}

/* Behind the quoted value of a label; NULL if it is malformed. */
static const char *skip_value(const char *at)
{
    if (*at++ != '"')
        return NULL;
    while (*at && *at != '"') {
        if (*at == '\\' && !strchr("\\\"n", *++at))
            return NULL;
        if (*at++ == '\n')
            return NULL;
    }
    return *at == '"' ? at + 1 : NULL;
}

/* Behind the labels, if there are any; NULL if they are malformed. */
static const char *skip_labels(const char *at)
{
    if (*at != '{')
        return at;
    do {
        const size_t length = name_length(++at, false);

        if (length == 0 || at[length] != '=')
            return NULL;
        at = skip_value(at + length + 1);
    } while (at && *at == ',');
    return at && *at == '}' ? at + 1 : NULL;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t size = strlen(text), end_size = strlen(end);

    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* What is wrong with a sample's name under the family before it; NULL if nothing is. */
static const char *check_member(const struct reading *reading, const char *name, const char *labels)
{
    const size_t size = strlen(reading->family);

    if (strncmp(name, reading->family, size) != 0)
        return "a sample of another family";
    if (strcmp(reading->type, "summary") == 0) {
        if (name[size] == '\0')
            return strstr(labels, "quantile=\"") ? NULL : "a summary without a quantile";
        return strcmp(name + size, "_sum") == 0 || strcmp(name + size, "_count") == 0 ? NULL : "no part of a summary";
    }
    return name[size] == '\0' ? NULL : "a sample of another family";
}

static const char *check_sample(struct reading *reading, const char *line)
{
    const size_t length = name_length(line, true);
    const char *const behind = length ? skip_labels(line + length) : NULL;
    char name[LINE_MAX_SIZE];
    char *end;

    if (!behind || *behind != ' ' || (size_t)(behind - line) >= LINE_MAX_SIZE)
        return "malformed sample";
    strtod(behind + 1, &end);
    if (end == behind + 1 || *end)
        return "the value is no number";
    snprintf(name, sizeof(name), "%.*s", (int)length, line);
    for (size_t i = 0; i < reading->sample_count; i++) {
        if (strlen(reading->samples[i]) == (size_t)(behind - line) &&
            strncmp(reading->samples[i], line, (size_t)(behind - line)) == 0)
            return "the sample is there twice";
    }
    snprintf(reading->samples[reading->sample_count++], LINE_MAX_SIZE, "%.*s", (int)(behind - line), line);
    return check_member(reading, name, line + length);
}

static const char *check_help(struct reading *reading, const char *rest)
{
    const size_t length = name_length(rest, true);

    if (length == 0 || length >= sizeof(reading->families[0]) || rest[length] != ' ' || !rest[length + 1])
        return "malformed HELP";
    snprintf(reading->family, sizeof(reading->family), "%.*s", (int)length, rest);
    *reading->type = '\0';
    for (size_t i = 0; i < reading->family_count; i++) {
        if (strcmp(reading->families[i], reading->family) == 0)
            return "the family is there twice";
    }
    snprintf(reading->families[reading->family_count++], sizeof(reading->families[0]), "%.*s", (int)length, rest);
    return NULL;
}

static const char *check_type(struct reading *reading, const char *rest)
{
    const size_t length = name_length(rest, true);
    bool is_counter;

    if (strlen(reading->family) != length || strncmp(reading->family, rest, length) != 0 || rest[length] != ' ')
        return "TYPE does not follow its HELP";
    if (*reading->type)
        return "TYPE twice";
    snprintf(reading->type, sizeof(reading->type), "%s", rest + length + 1);
    is_counter = strcmp(reading->type, "counter") == 0;
    if (!is_counter && strcmp(reading->type, "gauge") != 0 && strcmp(reading->type, "summary") != 0)
        return "unknown TYPE";
    return is_counter == ends_with(reading->family, "_total") ? NULL : "_total is for counters, and for all of them";
}

static const char *check_line(struct reading *reading, const char *line)
{
    if (strncmp(line, "# HELP ", 7) == 0)
        return check_help(reading, line + 7);
    if (strncmp(line, "# TYPE ", 7) == 0)
        return check_type(reading, line + 7);
    if (*line == '#' || !*line)
        return "neither HELP, TYPE nor sample";
    return *reading->type ? check_sample(reading, line) : "a sample before its TYPE";
}

bool exposition_check(const char *text, char *why)
{
    struct reading *const reading = calloc(1, sizeof(*reading));
    char line[LINE_MAX_SIZE];

    while (reading && *text && !reading->why) {
        const size_t length = strcspn(text, "\n");

        snprintf(line, sizeof(line), "%.*s", (int)length, text);
        if (text[length] != '\n' || length >= sizeof(line) || reading->sample_count >= LINES_MAX)
            reading->why = "no newline, or too long";
        else
            reading->why = check_line(reading, line);
        text += length + (text[length] == '\n');
    }
    if (reading && reading->why)
        snprintf(why, 128, "%s: %.60s", reading->why, line);
    else
        *why = '\0';
    free(reading);
    return !*why;
}

const char *exposition_value(const char *text, const char *sample)
{
    static char value[64];
    const size_t size = strlen(sample);

    while (text && *text) {
        if (strncmp(text, sample, size) == 0 && text[size] == ' ') {
            snprintf(value, sizeof(value), "%.*s", (int)strcspn(text + size + 1, "\n"), text + size + 1);
            return value;
        }
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    return NULL;
}
