/* Lines of NDJSON text. Reads only what is given, allocates nothing, cannot fail. */
#include <stele/cloudevents.h>

#include <string.h>

static bool is_blank(struct stele_slice line)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
            return false;
    }
    return true;
}

/* Take one line off, without its end. `rest` is not empty. */
static struct stele_slice take_line(struct stele_slice *rest)
{
    const char *end = memchr(rest->data, '\n', rest->size);
    struct stele_slice line = {rest->data, end ? (size_t)(end - rest->data) : rest->size};
    const size_t taken = end ? line.size + 1 : line.size;

    rest->data += taken;
    rest->size -= taken;
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    return line;
}

bool stele_ndjson_next(struct stele_slice *rest, struct stele_slice *line, uint64_t *number)
{
    while (rest->size > 0) {
        const struct stele_slice taken = take_line(rest);

        (*number)++;
        if (!is_blank(taken)) {
            *line = taken;
            return true;
        }
    }
    return false;
}
