/*
 * Log records: handed to one hook that a program sets before it starts
 * threads, and written as lines of text for hooks that want text. Nothing here
 * allocates or can fail.
 */
#include "base/log.h"

#include "base/text.h"

#include <stdio.h>

static stele_log_hook *hook_in_use;
static void *hook_context;
static enum stele_log_level least_level;

void stele_log_use(stele_log_hook *hook, void *context, enum stele_log_level level)
{
    hook_in_use = hook;
    hook_context = context;
    least_level = level;
}

const char *stele_log_level_name(enum stele_log_level level)
{
    static const char *const names[] = {"trace", "debug", "info", "warning", "error"};

    return (unsigned)level < sizeof(names) / sizeof(names[0]) ? names[level] : "?";
}

bool stele__log_wanted(enum stele_log_level level)
{
    return hook_in_use && level >= least_level;
}

void stele__log(enum stele_log_level level, const char *message, const struct stele_log_field *fields, size_t count)
{
    const struct stele_log_record record = {level, message, fields, count};

    if (stele__log_wanted(level))
        hook_in_use(hook_context, &record);
}

/* A line being written; `length` counts on where `text` is full. */
struct line {
    char *text;
    size_t size;
    size_t length;
};

/* Add bytes that must not be cut apart; once some did not fit, `length` is beyond `size` and nothing follows. */
static void put(struct line *line, const char *bytes, size_t size)
{
    if (line->length < line->size && size < line->size - line->length) {
        memcpy(line->text + line->length, bytes, size);
        line->text[line->length + size] = '\0';
    }
    line->length += size;
}

static void put_escaped(struct line *line, unsigned char byte)
{
    static const char letters[] = "\"\"\\\\\nn\rr\tt";
    char escape[5] = {'\\', '\0', '\0', '\0', '\0'};

    for (const char *letter = letters; *letter; letter += 2) {
        if (*letter == (char)byte) {
            escape[1] = letter[1];
            put(line, escape, 2);
            return;
        }
    }
    snprintf(escape, sizeof(escape), "\\x%02x", byte);
    put(line, escape, 4);
}

/* The bytes of the printable character at the start of the text; 0 if there is none. */
static size_t printable_size(struct stele_slice text)
{
    const unsigned char first = (unsigned char)text.data[0];
    struct stele_slice character = {text.data, 1};
    size_t bad;

    if (first < 0x80)
        return first >= 0x20 && first != 0x7F;
    while (character.size < 4 && character.size < text.size &&
           ((unsigned char)text.data[character.size] & 0xC0) == 0x80)
        character.size++;
    if (!stele__utf8_valid(character, &bad))
        return 0;
    return first == 0xC2 && (unsigned char)text.data[1] < 0xA0 ? 0 : character.size;
}

/* Add a text; control characters, invalid bytes and those of `special` escaped. */
static void put_text(struct line *line, const char *text, const char *special)
{
    struct stele_slice rest = stele__slice(text);

    while (rest.size > 0) {
        size_t size = printable_size(rest);

        if (size == 0 || strchr(special, *rest.data)) {
            put_escaped(line, (unsigned char)*rest.data);
            size = 1;
        } else {
            put(line, rest.data, size);
        }
        rest.data += size;
        rest.size -= size;
    }
}

/* True if a value can stand in a line as it is. */
static bool is_plain(const char *value)
{
    struct stele_slice rest = stele__slice(value);

    if (rest.size == 0)
        return false;
    while (rest.size > 0) {
        const size_t size = printable_size(rest);

        if (size == 0 || strchr(" \"\\=", *rest.data))
            return false;
        rest.data += size;
        rest.size -= size;
    }
    return true;
}

static void put_field(struct line *line, const struct stele_log_field *field)
{
    const char *const value = field->value ? field->value : "";

    put(line, " ", 1);
    put_text(line, field->key, " \"\\=");
    put(line, "=", 1);
    if (is_plain(value)) {
        put_text(line, value, "");
        return;
    }
    put(line, "\"", 1);
    put_text(line, value, "\"\\");
    put(line, "\"", 1);
}

size_t stele_log_print(const struct stele_log_record *record, char *text, size_t size)
{
    struct line line = {text, size, 0};

    if (size > 0)
        text[0] = '\0';
    put_text(&line, stele_log_level_name(record->level), "");
    put(&line, " ", 1);
    put_text(&line, record->message, "");
    for (size_t i = 0; i < record->field_count; i++)
        put_field(&line, &record->fields[i]);
    return line.length;
}
