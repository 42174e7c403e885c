/* The checkpoints of readers in the memory backend, by name. */
#ifndef STELE_MEMORY_MARK_H
#define STELE_MEMORY_MARK_H

#include <stele/spi/store.h>

#include "base/vector.h"

struct memory__marks {
    struct stele__vector sorted; /* of struct mark */
};

void memory__marks_init(struct memory__marks *marks);
void memory__marks_fini(struct memory__marks *marks);

/* Where the checkpoint is; STELE_NO_CHECKPOINT if it is not there. */
uint64_t memory__marks_position(const struct memory__marks *marks, const char *name);
/* Set or replace; false when memory is out. */
bool memory__marks_put(struct memory__marks *marks, const struct stele_checkpoint *checkpoint);
/* False if there is none. */
bool memory__marks_delete(struct memory__marks *marks, const char *name);
/* The one of this name, or with NULL all. */
void memory__marks_visit(const struct memory__marks *marks, const char *name, stele_checkpoint_visit *visit,
                         void *context);

#endif
