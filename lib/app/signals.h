/* SIGINT and SIGTERM as bytes in a pipe. */
#ifndef STELE_APP_SIGNALS_H
#define STELE_APP_SIGNALS_H

#include <stele/error.h>

#include <signal.h>

enum stele__woken {
    STELE__WOKEN_SIGNAL = 's', /* one of the signals came */
    STELE__WOKEN_NOTE = 'n',   /* stele__signals_wake(): look what is new */
    STELE__WOKEN_END = 'e'     /* stele__signals_end(), or the pipe is no more */
};

/* The pipe, and what the signals did before. */
struct stele__signals {
    int read_end, write_end;
    struct sigaction interrupt, terminate;
};

/* Catch the signals from now on; STELE_INVALID while somebody does, STELE_IO when the system is out of descriptors. */
stele_status stele__signals_catch(struct stele__signals *signals, stele_error **error);
/* Put back what was before. */
void stele__signals_release(struct stele__signals *signals);

/* Wait until something came: the next byte. */
enum stele__woken stele__signals_next(const struct stele__signals *signals);
/* True, with the byte, if something is there. */
bool stele__signals_poll(const struct stele__signals *signals, enum stele__woken *woken);

/* Wake whoever waits in this process, if anybody. Thread-safe. */
void stele__signals_wake(void);
/* End the wait of another thread. */
void stele__signals_end(const struct stele__signals *signals);

#endif
