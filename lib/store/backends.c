/* The table of built-in backends. A backend joins with one line here. */
#include "store/backends.h"

#include "base/text.h"

static const struct stele__backend_entry entries[] = {
    {&stele__sqlite_ops, true}, /* first: the one of bare paths */
    {&stele__memory_ops, false},
};

const struct stele__backend_entry *stele__backend_find(struct stele_slice scheme)
{
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        if (stele__slice_equal(stele__slice(entries[i].ops->scheme), scheme))
            return &entries[i];
    return NULL;
}

const struct stele__backend_entry *stele__backend_of_paths(void)
{
    return &entries[0];
}
