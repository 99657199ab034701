/* Who may ask the admin listener for more than health and metrics.
 *
 * The token travels as `Authorization: Bearer …`, never in a cookie and never in an address: no page of another site
 * can make a browser send it, and no log has it. Besides, what a browser says was caused by another site is refused.
 *
 * Thread: any; pure functions of their arguments, but for the answer. */
#pragma once

#include "edge/config/config.h"
#include "edge/door/http.h"

#include <stdbool.h>

enum admin_right {
    ADMIN_LOOKS,   /* sees who is connected, and where */
    ADMIN_RELOADS, /* has the file read again; wants the token only where there is one */
    ADMIN_CHANGES, /* also sends events; wants edge.admin.allow_changes beside the token */
};

/* Whether the request may. If not it has been answered, in words: 401 without the right token, 403 when there is none in
 * the configuration, when nothing may be changed, or when another site is behind it. */
bool admin_allows(const struct config *config, const struct http_request *request, enum admin_right right);
