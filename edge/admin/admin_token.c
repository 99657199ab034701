#include "edge/admin/admin_token.h"

#include "auth/digest.h"

#include <string.h>
#include <strings.h>

static const char scheme[] = "Bearer ";
enum { SCHEME_CHARS = sizeof(scheme) - 1 };

static bool has_token(const struct config *config, const struct http_request *request)
{
    const struct http_text *said = http_header_find(request, "Authorization");
    const char *token = config->edge.admin.token;
    return said && said->length > SCHEME_CHARS && strncasecmp(said->bytes, scheme, SCHEME_CHARS) == 0 &&
           digest_equal(said->bytes + SCHEME_CHARS, said->length - SCHEME_CHARS, token, strlen(token));
}

/* "http://host:port" of the page against "host:port" of the request. */
static bool is_own_origin(const struct http_text *origin, const struct http_text *host)
{
    const char *after = memmem(origin->bytes, origin->length, "://", 3);
    if (!after || !host)
        return false;
    after += 3;
    size_t length = origin->length - (size_t)(after - origin->bytes);
    return length == host->length && strncasecmp(after, host->bytes, length) == 0;
}

/* Browsers say it in these two headers, which no script can set; other programs say neither. */
static bool is_of_other_site(const struct http_request *request)
{
    const struct http_text *site = http_header_find(request, "Sec-Fetch-Site");
    const struct http_text *origin = http_header_find(request, "Origin");
    if (site && !http_text_is(*site, "same-origin") && !http_text_is(*site, "none"))
        return true;
    return origin && !is_own_origin(origin, http_header_find(request, "Host"));
}

bool admin_allows(const struct config *config, const struct http_request *request, enum admin_right right)
{
    static const char headers[] = "Cache-Control: no-store\r\n";
    if (is_of_other_site(request)) {
        http_answer_error(request->exchange, 403, headers,
            "a page of another site has caused this request, and only this listener's own page may (a proxy "
            "in "
            "front of it has to pass the Host header on)");
        return false;
    }
    if (!config->edge.admin.token[0] && right == ADMIN_RELOADS)
        return true;
    if (!config->edge.admin.token[0]) {
        http_answer_error(request->exchange, 403, headers,
            "there is no token in the configuration, so nobody is told who is connected; set "
            "edge.admin.token "
            "to a text of at least 8 characters, {\"env\": \"NAME\"} or {\"file\": \"path\"}");
        return false;
    }
    if (!has_token(config, request)) {
        http_answer_error(request->exchange, 401,
            "Cache-Control: no-store\r\nWWW-Authenticate: Bearer realm=\"rollcall\"\r\n",
            "must have the header Authorization: Bearer and the token of edge.admin.token");
        return false;
    }
    if (right == ADMIN_CHANGES && !config->edge.admin.allow_changes) {
        http_answer_error(request->exchange, 403, headers,
            "nothing may be changed here; set edge.admin.allow_changes to true to allow it");
        return false;
    }
    return true;
}
