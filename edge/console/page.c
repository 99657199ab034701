/* The page, embedded at build time (edge/page/console/): nothing of it is loaded from elsewhere, and its policy forbids
 * that anything could be. */
#include "edge/console/console_private.h"

#define FILES(X)                                                                                             \
    X(index, "/", "text/html")                                                                               \
    X(css, "/console/console.css", "text/css")                                                               \
    X(main, "/console/main.js", "text/javascript")                                                           \
    X(parts, "/console/parts.js", "text/javascript")                                                         \
    X(plot, "/console/plot.js", "text/javascript")                                                           \
    X(edges, "/console/edges.js", "text/javascript")                                                         \
    X(fleet, "/console/fleet.js", "text/javascript")                                                         \
    X(channels, "/console/channels.js", "text/javascript")                                                   \
    X(events, "/console/events.js", "text/javascript")                                                       \
    X(healed, "/console/healed.js", "text/javascript")

#define DECLARE(symbol, path, type)                                                                          \
    extern const unsigned char page_console_##symbol[];                                                      \
    extern const size_t page_console_##symbol##_bytes;
FILES(DECLARE)
#undef DECLARE

static const struct file {
    const char *path, *type;
    const unsigned char *bytes;
    const size_t *length;
} files[] = {
#define ROW(symbol, path, type)                                                                              \
    {path, type "; charset=utf-8", page_console_##symbol, &page_console_##symbol##_bytes},
    FILES(ROW)
#undef ROW
};

const struct file *console_file_find(struct http_text path)
{
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (http_text_is(path, files[i].path))
            return &files[i];
    return NULL;
}

void console_file_answer(const struct file *file, const struct http_request *request)
{
    static const char headers[] =
        "Cache-Control: no-cache\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Referrer-Policy: no-referrer\r\n"
        "Cross-Origin-Opener-Policy: same-origin\r\n"
        "Cross-Origin-Resource-Policy: same-origin\r\n"
        "Content-Security-Policy: default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";
    http_answer(request->exchange, &(struct http_answer){.status = 200,
                                       .content_type = file->type,
                                       .headers = headers,
                                       .body = (const char *)file->bytes,
                                       .body_bytes = *file->length});
}
