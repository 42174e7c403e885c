/*
 * Standard output. Bytes go through stdio; the first errno of a failed write is
 * kept, because stdio forgets it and the end of the program has to tell it.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tool.h"

/* What broke standard output; 0 while it works. */
static int broken;

/* Run at exit, also after `--help`: what is still buffered may not fit on the disk. */
static void output_close(void)
{
    if (fclose(stdout) != 0 && broken == 0)
        broken = errno;
    if (broken == 0 || broken == EPIPE)
        return;
    fprintf(stderr, "stele: standard output: %s\n", strerror(broken));
    _exit(TOOL_FAILED);
}

/* A store must not get a descriptor that messages are written to: give each closed one something that fails. */
static void fill_descriptors(void)
{
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++) {
        if (fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF)
            continue;
        if (open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) != descriptor)
            _exit(TOOL_FAILED);
    }
}

void output_start(void)
{
    fill_descriptors();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at the limit of its size fails to be written, and that is told */
    atexit(output_close);
}

static bool note(bool written)
{
    if (!written && broken == 0)
        broken = errno;
    return broken == 0;
}

bool output_bytes(const char *bytes, size_t size)
{
    return broken == 0 && note(fwrite(bytes, 1, size, stdout) == size);
}

bool output_text(const char *text)
{
    return output_bytes(text, strlen(text));
}

bool output_format(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const bool written = broken == 0 && note(vfprintf(stdout, format, arguments) >= 0);
    va_end(arguments);
    return written;
}

bool output_flush(void)
{
    return broken == 0 && note(fflush(stdout) == 0);
}

bool output_json_string(struct stele_slice text)
{
    output_text("\"");
    for (size_t i = 0; i < text.size; i++) {
        const unsigned char byte = (unsigned char)text.data[i];
        if (byte == '"' || byte == '\\')
            output_format("\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            output_format("\\u%04x", byte);
        else
            output_bytes(&text.data[i], 1);
    }
    return output_text("\"");
}

bool output_is_lost(void)
{
    struct pollfd watched = {.fd = STDOUT_FILENO};
    if (broken == 0 && poll(&watched, 1, 0) == 1 && (watched.revents & (POLLERR | POLLHUP)) != 0)
        broken = EPIPE;
    return broken != 0;
}

bool output_is_terminal(void)
{
    return isatty(STDOUT_FILENO) != 0;
}

bool output_is_coloured(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return output_is_terminal() && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

size_t output_columns(void)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}
