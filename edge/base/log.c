#include "edge/base/log.h"

#include "edge/base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LINES_PER_SECOND = 10,
    /* PIPE_BUF of Linux: a write of so much into a pipe is never mixed with that of another thread. */
    LINE_BYTES = 4096,
    TAIL_BYTES = 64, /* kept for what ends a line: "…", the count of suppressed ones, the brace */
    REPLACEMENT = 0xfffd,
};

struct line {
    char bytes[LINE_BYTES];
    size_t length, capacity;
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const level_labels[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};

static atomic_int log_level = LOG_LEVEL_INFO;
static atomic_int log_format = LOG_FORMAT_AUTO;
static atomic_int log_fd = STDERR_FILENO;

void log_configure(enum log_level level, enum log_format format)
{
    if (format == LOG_FORMAT_AUTO)
        format = isatty(log_fd) ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON;
    log_level = (int)level;
    log_format = (int)format;
}

void log_to_fd(int fd)
{
    log_fd = fd;
}

_Bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&log_level, memory_order_relaxed);
}

static bool put(struct line *line, const char *bytes, size_t length)
{
    if (line->length + length > line->capacity)
        return false;
    memcpy(line->bytes + line->length, bytes, length);
    line->length += length;
    return true;
}

static bool put_string(struct line *line, const char *string)
{
    return put(line, string, strlen(string));
}

/* One character of UTF-8: its length, or 0 when the bytes are none (RFC 3629: shortest form, no surrogates).
 * The text ends with a NUL, which is never a continuation. */
static size_t decode(const unsigned char *text, uint32_t *character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = text[0];
    size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
    if (length <= 1) {
        *character = first;
        return length;
    }
    uint32_t value = first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (text[i] >> 6 != 2)
            return 0;
        value = value << 6 | (text[i] & 0x3f);
    }
    *character = value;
    bool surrogate = value >= 0xd800 && value < 0xe000;
    return value < least[length] || value > 0x10ffff || surrogate ? 0 : length;
}

/* What breaks a line or commands a terminal: controls of both sets, line and paragraph separators, and the
 * marks that turn the direction of writing. */
static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static bool put_character(struct line *line, const char *text, size_t length, uint32_t c, bool json)
{
    char escape[8];
    if (length == 0) {
        c = (unsigned char)text[0];
        snprintf(escape, sizeof(escape), json ? "\\u%04x" : "\\x%02x", json ? (unsigned)REPLACEMENT : c);
    } else if (is_unsafe(c)) {
        snprintf(escape, sizeof(escape), "\\u%04x", c);
    } else if (c == '\\' || (c == '"' && json)) {
        snprintf(escape, sizeof(escape), "\\%c", (int)c);
    } else {
        return put(line, text, length);
    }
    return put_string(line, escape);
}

/* Ends with "…" where the line is full. */
static void put_escaped(struct line *line, const char *text, bool json)
{
    while (*text) {
        uint32_t character;
        size_t length = decode((const unsigned char *)text, &character);
        if (!put_character(line, text, length, character, json)) {
            line->capacity = LINE_BYTES;
            put_string(line, "…");
            return;
        }
        text += length ? length : 1;
    }
}

/* RFC 3339, UTC, with milliseconds. */
static void put_time(struct line *line)
{
    int64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char text[40], millis[8];
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(millis, sizeof(millis), ".%03dZ", (int)(now_ms % 1000));
    put_string(line, text);
    put_string(line, millis);
}

static void put_text(
    struct line *line, enum log_level level, const char *event, const char *message, unsigned suppressed)
{
    char tail[TAIL_BYTES / 2];
    put_time(line);
    put_string(line, " ");
    put_string(line, level_labels[level]);
    put_string(line, " ");
    put_escaped(line, event, false);
    put_string(line, ": ");
    put_escaped(line, message, false);
    line->capacity = LINE_BYTES;
    if (suppressed > 0) {
        snprintf(tail, sizeof(tail), " (suppressed %u)", suppressed);
        put_string(line, tail);
    }
    put_string(line, "\n");
}

static void put_json(
    struct line *line, enum log_level level, const char *event, const char *message, unsigned suppressed)
{
    char tail[TAIL_BYTES / 2];
    put_string(line, "{\"time\":\"");
    put_time(line);
    put_string(line, "\",\"level\":\"");
    put_string(line, level_names[level]);
    put_string(line, "\",\"event\":\"");
    put_escaped(line, event, true);
    put_string(line, "\",\"message\":\"");
    put_escaped(line, message, true);
    line->capacity = LINE_BYTES;
    put_string(line, "\"");
    if (suppressed > 0) {
        snprintf(tail, sizeof(tail), ",\"suppressed\":%u", suppressed);
        put_string(line, tail);
    }
    put_string(line, "}\n");
}

/* Whether this place may write now, and how many of its lines were swallowed before. Two threads at the turn
 * of a second may swallow or write a line too many: it is counted rightly all the same. */
static bool admit(struct log_site *site, unsigned *suppressed)
{
    uint64_t now = clock_monotonic_ms() / 1000 + 1; /* 0 is a place that never wrote */
    uint_least64_t seen = atomic_load(&site->second);
    if (seen != now && atomic_compare_exchange_strong(&site->second, &seen, now))
        atomic_store(&site->lines, 0);
    if (atomic_fetch_add(&site->lines, 1) >= LINES_PER_SECOND) {
        atomic_fetch_add(&site->suppressed, 1);
        return false;
    }
    *suppressed = atomic_exchange(&site->suppressed, 0);
    return true;
}

/* One write a line. Nowhere to complain when the log cannot be written. */
static void write_line(const struct line *line)
{
    ssize_t written;
    do {
        written = write(log_fd, line->bytes, line->length);
    } while (written < 0 && errno == EINTR);
}

void log_write(enum log_level level, struct log_site *site, const char *event, const char *format, ...)
{
    unsigned suppressed;
    int saved = errno;
    if (!admit(site, &suppressed))
        goto out;
    if (log_format == LOG_FORMAT_AUTO)
        log_configure((enum log_level)log_level, LOG_FORMAT_AUTO);
    char message[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    errno = saved; /* for %m */
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    struct line line;
    line.length = 0;
    line.capacity = LINE_BYTES - TAIL_BYTES;
    if (log_format == LOG_FORMAT_TEXT)
        put_text(&line, level, event, message, suppressed);
    else
        put_json(&line, level, event, message, suppressed);
    write_line(&line);
out:
    errno = saved;
}
