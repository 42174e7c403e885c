/*
 * Listeners of a store: a list, told under its own mutex, which nobody needs who
 * does not commit while somebody listens.
 *
 *     leader's commit -> group let go -> each listener: "up to here"
 *
 * What can fail: making the mutex.
 */
#include "store/listen.h"

#include "base/error.h"

stele_status stele__listeners_init(struct stele__listeners *listeners, stele_error **error)
{
    atomic_init(&listeners->any, false);
    listeners->first = NULL;
    return pthread_mutex_init(&listeners->mutex, NULL) == 0 ? STELE_OK : stele__fail_memory(error);
}

void stele__listeners_fini(struct stele__listeners *listeners)
{
    pthread_mutex_destroy(&listeners->mutex);
}

void stele__listeners_add(struct stele__listeners *listeners, struct stele__listener *listener)
{
    pthread_mutex_lock(&listeners->mutex);
    listener->next = listeners->first;
    listeners->first = listener;
    atomic_store(&listeners->any, true);
    pthread_mutex_unlock(&listeners->mutex);
}

void stele__listeners_remove(struct stele__listeners *listeners, const struct stele__listener *listener)
{
    pthread_mutex_lock(&listeners->mutex);
    for (struct stele__listener **place = &listeners->first; *place; place = &(*place)->next) {
        if (*place == listener) {
            *place = listener->next;
            break;
        }
    }
    atomic_store(&listeners->any, listeners->first != NULL);
    pthread_mutex_unlock(&listeners->mutex);
}

void stele__listeners_tell(struct stele__listeners *listeners, uint64_t head)
{
    pthread_mutex_lock(&listeners->mutex);
    for (struct stele__listener *listener = listeners->first; listener; listener = listener->next)
        listener->committed(listener, head);
    pthread_mutex_unlock(&listeners->mutex);
}
