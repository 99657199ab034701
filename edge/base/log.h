/* The log: one line an event, on standard error.
 *
 * Text on a terminal, one JSON object a line otherwise. Values are escaped, so nothing a client sends can
 * break a line or start a new one. Each place in the code that logs has its own allowance (10 lines a
 * second); what it swallows is counted, and said with its next line as `suppressed`.
 *
 * Usage: log_warn("redis.unreachable", "shard %s does not answer", name);  — an event name that does not
 * change (for filters and alerts), then a sentence. A line is at most 4096 bytes, longer ones end with "…",
 * and goes out in one write. errno is kept. Any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* The allowance of one place in the code. */
struct log_site {
    atomic_uint_least64_t second;
    atomic_uint lines;
    atomic_uint suppressed;
};

/* From when on, and how. LOG_FORMAT_AUTO looks at what the log is written to, so call log_to_fd() before.
 * Before the first call: LOG_LEVEL_INFO and LOG_FORMAT_AUTO. */
void log_configure(enum log_level level, enum log_format format);

/* Writes to `fd` instead of standard error; it stays the caller's. For tests. */
void log_to_fd(int fd);
_Bool log_enabled(enum log_level level);
void log_write(enum log_level level, struct log_site *site, const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define LOG_AT(level, event, ...)                                                                            \
    do {                                                                                                     \
        static struct log_site log_site_;                                                                    \
        if (log_enabled(level))                                                                              \
            log_write(level, &log_site_, event, __VA_ARGS__);                                                \
    } while (0)

#define log_debug(event, ...) LOG_AT(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...) LOG_AT(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) LOG_AT(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_error(event, ...) LOG_AT(LOG_LEVEL_ERROR, event, __VA_ARGS__)
