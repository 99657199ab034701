#include "edge/tools/screen.h"

#include "edge/base/buffer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* ECMA-48 and xterm's private modes, which every terminal of today knows. */
#define OTHER_SCREEN "\x1b[?1049h\x1b[?25l"
#define FORMER_SCREEN "\x1b[?25h\x1b[?1049l"
#define HOME "\x1b[H"
#define REST_OF_LINE "\x1b[K"
#define REST_OF_SCREEN "\x1b[J"

static struct termios before;
static volatile sig_atomic_t told_to_end;

static void on_end(int number)
{
    told_to_end = number;
}

static void on_size(int number)
{
    (void)number; /* it only ends the wait */
}

/* Nowhere to complain. */
static void put(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, length);
        if (written < 0 && errno != EINTR)
            return;
        bytes += written > 0 ? written : 0;
        length -= written > 0 ? (size_t)written : 0;
    }
}

bool screen_open(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    struct termios raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* it would leave the shell on the other screen */
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    for (size_t i = 0; i < 3; i++)
        sigaction(ends[i], &(struct sigaction){.sa_handler = on_end}, NULL);
    sigaction(SIGWINCH, &(struct sigaction){.sa_handler = on_size}, NULL);
    put(OTHER_SCREEN, strlen(OTHER_SCREEN));
    return true;
}

void screen_close(void)
{
    put(FORMER_SCREEN, strlen(FORMER_SCREEN));
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

/* Bytes of the line that take at most so many columns. */
static size_t cut(const char *line, size_t bytes, size_t columns)
{
    size_t i = 0;
    while (i < bytes) {
        size_t next = i + 1;
        while (next < bytes && ((unsigned char)line[next] & 0xc0) == 0x80)
            next++;
        if (columns-- == 0)
            return i;
        i = next;
    }
    return bytes;
}

void screen_show(const char *text, size_t bytes)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    struct buffer out = {0};
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    buffer_add_string(&out, HOME);
    for (unsigned row = 0; bytes > 0 && row < size.ws_row; row++) {
        const char *end = memchr(text, '\n', bytes);
        size_t length = end ? (size_t)(end - text) : bytes;
        buffer_add_string(&out, row ? "\r\n" : "");
        buffer_add(&out, text, cut(text, length, size.ws_col));
        buffer_add_string(&out, REST_OF_LINE);
        text += length + (end != NULL);
        bytes -= length + (end != NULL);
    }
    buffer_add_string(&out, REST_OF_SCREEN);
    put(out.bytes, out.length);
    buffer_deinit(&out);
}

bool screen_wait(int ms)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char key = 0;
    if (told_to_end)
        return false;
    int ready = poll(&in, 1, ms);
    if (ready > 0 && (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q'))
        return false;
    return !told_to_end;
}
