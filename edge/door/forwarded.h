/* Whom a proxy speaks for: X-Forwarded-For and X-Forwarded-Proto, as far as they can be believed.
 *
 *   X-Forwarded-For: 192.0.2.1, 203.0.113.7, 10.0.0.5        from 10.0.0.9, with 10.0.0.0/8 trusted
 *                    └ anyone's claim  └ the client  └ a proxy of ours
 *
 * Each proxy adds the address that it saw, on the right. So we walk from the right, from our own peer, as long as addresses
 * are those of trusted proxies: the first one that is not is the client, for it is what a proxy of ours has seen. What stands
 * left of it anybody may have written. Something that is no address ends the walk, too: whoever said it knows no better,
 * and its own address stands. Pure; any thread.
 */
#pragma once

#include "edge/config/config.h"
#include "edge/door/address.h"
#include "edge/door/http.h"

/* Whether the address is one of edge.trusted_proxies. */
bool forwarded_is_trusted(const struct config *config, const struct address *address);

/* The client of a request that came from `peer`; `peer` itself when that is no trusted proxy. `secure` is set if the proxy
 * says so. */
struct address forwarded_client(
    const struct config *config, const struct http_request *request, const struct address *peer);
