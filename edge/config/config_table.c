/* Every key of the configuration; those of apps and of fleets in files of their own. Where a default is not ours
 * to choose, its source stands beside it. */
#include "edge/config/config_table_parts.h"

#include "edge/base/log.h"
#include "edge/tls/server.h"

#define EDGE(member) AT(struct config, edge.member)

static const char *const level_names[] = {[LOG_LEVEL_DEBUG] = "debug",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_ERROR] = "error",
    NULL};
static const char *const format_names[] = {
    [LOG_FORMAT_AUTO] = "auto", [LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_JSON] = "json", NULL};

static const char *const version_names[] = {[TLS_VERSION_1_2] = "1.2", [TLS_VERSION_1_3] = "1.3", NULL};

static const struct config_key certificate_keys[] = {
    {.name = "certificate",
        .type = CONFIG_TEXT,
        AT(struct config_certificate, certificate),
        .min = 1,
        .max = 4095,
        .required = true,
        .sentence = "A PEM file: the certificate, then the chain to its authority (fullchain.pem). Relative "
                    "paths begin in the folder of this file."},
    {.name = "key",
        .type = CONFIG_TEXT,
        AT(struct config_certificate, key),
        .min = 1,
        .max = 4095,
        .required = true,
        .sentence = "A PEM file with its private key, without a passphrase."},
    {0},
};

static const struct config_key tls_keys[] = {
    {.name = "certificates",
        .type = CONFIG_LIST,
        ITEMS(struct config_listen, tls.certificates, tls.certificate_count, struct config_certificate),
        .min = 1,
        .max = 256,
        .required = true,
        .keys = certificate_keys,
        .sentence = "A client gets the first one that is for the name it asks for, else the first of all."},
    {.name = "min_version",
        .type = CONFIG_CHOICE,
        AT(struct config_listen, tls.min_version),
        .text = "1.2",
        .choices = version_names,
        .sentence = "The oldest version of TLS that is spoken."},
    {0},
};

static const struct config_key listen_keys[] = {
    {.name = "address",
        .type = CONFIG_TEXT,
        AT(struct config_listen, address),
        .min = 1,
        .max = 128,
        .text = "127.0.0.1",
        .check = config_check_listen_address,
        .restart = true,
        .sentence = "An IPv4 or IPv6 address, or unix: and the absolute path of a socket. 0.0.0.0 and :: are "
                    "all of the machine, of one family each."},
    {.name = "port",
        .type = CONFIG_NUMBER,
        AT(struct config_listen, port),
        .max = 65535,
        .number = 6001, /* what self-hosted servers of this protocol use */
        .zero = "a free one, said in the log",
        .restart = true,
        .sentence = "The TCP port; unix sockets have none."},
    {.name = "proxy_protocol",
        .type = CONFIG_BOOL,
        AT(struct config_listen, proxy_protocol),
        .restart = true,
        .sentence =
            "Connections begin with a PROXY header (version 1 or 2) of a balancer. Only for listeners that "
            "nobody but the balancer reaches: whoever sends the header chooses his address."},
    {.name = "tls",
        .type = CONFIG_OBJECT,
        .optional = true,
        .keys = tls_keys,
        .sentence = "Speak TLS here (https:// and wss://), for edges without a balancer that does. Costs two "
                    "more descriptors and 15 KiB more a connection."},
    {0},
};

static const struct config_key admin_peer = {.type = CONFIG_TEXT,
    .bytes = sizeof(char *),
    .min = 1,
    .max = 300,
    .check = config_check_host_and_port,
    .sentence = "host:port or [IPv6]:port."};

static const struct config_key network = {
    .type = CONFIG_TEXT, .bytes = sizeof(char *), .min = 1, .max = 64, .check = config_check_network};

static const struct config_key admin_keys[] = {
    {.name = "enabled",
        .type = CONFIG_BOOL,
        EDGE(admin.enabled),
        .number = true,
        .restart = true,
        .sentence = "Serve /healthz, /readyz, /metrics and /facts on a listener of their own."},
    {.name = "address",
        .type = CONFIG_TEXT,
        EDGE(admin.address),
        .min = 1,
        .max = 128,
        .text = "127.0.0.1",
        .check = config_check_address,
        .restart = true,
        .sentence = "An IPv4 or IPv6 address. Who reaches it reads all metrics, and who is connected."},
    {.name = "port",
        .type = CONFIG_NUMBER,
        EDGE(admin.port),
        .max = 65535,
        .number = 9601,
        .zero = "a free one, said in the log",
        .restart = true,
        .sentence = "The TCP port."},
    {.name = "token",
        .type = CONFIG_SECRET,
        EDGE(admin.token),
        .min = 8,
        .max = 1024,
        .text = "",
        .check = config_check_token,
        .sentence = "What the console and the tools have to say to see who is connected; written like "
                    "apps[].secret. Without one the console shows nothing. /healthz, /readyz and /metrics "
                    "are open in any case."},
    {.name = "allow_changes",
        .type = CONFIG_BOOL,
        EDGE(admin.allow_changes),
        .needs = "token",
        .sentence = "Who knows the token may also change things: send events from the console. Otherwise "
                    "he only looks."},
    {.name = "peers",
        .type = CONFIG_LIST,
        ITEMS(struct config, edge.admin.peers, edge.admin.peer_count, char *),
        .max = 64,
        .item = &admin_peer,
        .needs = "token",
        .sentence = "The admin listeners of the other edges of the fleet, as host:port, which have the same "
                    "token: the console, `rollcall who`, `why` and `top` ask them, too. Without, they see of "
                    "other edges what Redis knows: leases and rosters, but no sockets and no numbers."},
    {0},
};

static const struct config_key edge_keys[] = {
    {.name = "name",
        .type = CONFIG_TEXT,
        EDGE(name),
        .max = 64,
        .text = "",
        .check = config_check_label,
        .restart = true,
        .sentence = "A label for logs and metrics; empty: the host's name."},
    {.name = "workers",
        .type = CONFIG_NUMBER,
        EDGE(workers),
        .max = 256,
        .zero = "one a core",
        .restart = true,
        .sentence = "Threads that serve connections."},
    {.name = "listen",
        .type = CONFIG_LIST,
        ITEMS(struct config, edge.listen, edge.listen_count, struct config_listen),
        .min = 1,
        .max = 64,
        .number = 1,
        .keys = listen_keys,
        .restart = true,
        .sentence = "Where clients and back ends connect."},
    {.name = "trusted_proxies",
        .type = CONFIG_LIST,
        ITEMS(struct config, edge.trusted_proxies, edge.trusted_proxy_count, char *),
        .max = 64,
        .item = &network,
        .sentence =
            "Balancers whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses, networks like "
            "10.0.0.0/8, or unix for all who come by unix sockets. The client is the right-most address that "
            "is "
            "none of these. With proxy_protocol they apply to the address of the PROXY header."},
    {.name = "path_prefix",
        .type = CONFIG_TEXT,
        EDGE(path_prefix),
        .max = 128,
        .text = "",
        .check = config_check_path_prefix,
        .sentence = "In front of /app and /apps, for a balancer that shares the host name; like /realtime."},
    {.name = "fallback_host",
        .type = CONFIG_TEXT,
        EDGE(fallback_host),
        .max = 253, /* the longest host name (RFC 1035, 2.3.4) */
        .text = "",
        .check = config_check_host,
        .sentence = "A host name that leads to this edge alone. Clients of the HTTP fallback turn to it "
                    "after their first "
                    "request, on the same port. Empty: they stay with the name they came by, and a balancer "
                    "must keep "
                    "each of them on one edge, by its address or by the path up to the session."},
    {.name = "admin", .type = CONFIG_OBJECT, .keys = admin_keys, .sentence = "The listener for operators."},
    {.name = "connections",
        .type = CONFIG_NUMBER,
        EDGE(connections),
        .max = UINT32_MAX,
        .zero = "as many as the limit of open files allows, with a reserve",
        .sentence =
            "Connections of clients, of all apps together; 4100 above that, and clients try again. "
            "The limit of open files (ulimit -n) also pays for back ends and for the process itself."},
    {.name = "memory_bytes",
        .type = CONFIG_NUMBER,
        EDGE(memory_bytes),
        .unit = "bytes",
        .min = 16 * MIB,
        .max = 1024 * GIB,
        .zero = "unlimited",
        .sentence =
            "Resident memory of the process; while it has more, new clients get 4100. Less than what kills "
            "it "
            "(MemoryMax= of a unit, the limit of a container): buffers of the kernel count there, too."},
    {.name = "accepts_per_second",
        .type = CONFIG_NUMBER,
        EDGE(accepts_per_second),
        .unit = "a second",
        .max = RATE_MAX,
        .zero = "unlimited",
        .sentence = "New connections that are taken, of the whole process. Others wait in the kernel's "
                    "queue, and when that is "
                    "full are not answered: a crowd that comes at once is let in one after the other, and "
                    "those inside keep "
                    "their latency."},
    {.name = "activity_timeout_s", /* protocol.md: 120, never 0 (pusher-js throws) */
        .type = CONFIG_NUMBER,
        EDGE(activity_timeout_s),
        .unit = "s",
        .min = 1,
        .max = 3600,
        .number = 120,
        .sentence = "Told to clients: after so long a silence they send a ping of their own."},
    {.name = "ping_after_ms",
        .type = CONFIG_NUMBER,
        EDGE(ping_after_ms),
        .unit = "ms",
        .min = 100, /* a tick of the timer wheel */
        .max = 60 * MINUTES,
        .number = 30000,
        .sentence =
            "A connection that was silent for so long is pinged. Shorter finds the dead sooner, longer saves "
            "phones' batteries."},
    {.name = "pong_timeout_ms",
        .type = CONFIG_NUMBER,
        EDGE(pong_timeout_ms),
        .unit = "ms",
        .min = 100,
        .max = 10 * MINUTES,
        .number = 10000,
        .sentence = "A pinged connection that says nothing for so long is closed with 4201."},
    {.name = "head_timeout_ms",
        .type = CONFIG_NUMBER,
        EDGE(head_timeout_ms),
        .unit = "ms",
        .min = 100,
        .max = 10 * MINUTES,
        .number = 10000,
        .sentence = "From the first byte of a request to the end of its head; 408 after that."},
    {.name = "body_timeout_ms",
        .type = CONFIG_NUMBER,
        EDGE(body_timeout_ms),
        .unit = "ms",
        .min = 100,
        .max = 10 * MINUTES,
        .number = 30000,
        .sentence = "From the end of a request's head to the end of its body; 408 after that."},
    {.name = "keep_alive_timeout_ms",
        .type = CONFIG_NUMBER,
        EDGE(keep_alive_timeout_ms),
        .unit = "ms",
        .min = 100,
        .max = 60 * MINUTES,
        .number = 75000, /* over the 60 s of most balancers, so that they close first and lose no request */
        .sentence =
            "An HTTP connection without a request for so long is closed. Keep it above the balancer's."},
    {.name = "head_bytes",
        .type = CONFIG_NUMBER,
        EDGE(head_bytes),
        .unit = "bytes",
        .min = 1 * KIB,
        .max = 64 * KIB, /* http_parser stops at 80 KiB */
        .number = 16 * KIB,
        .sentence = "The largest request head; 431 above that."},
    {.name = "body_bytes",
        .type = CONFIG_NUMBER,
        EDGE(body_bytes),
        .unit = "bytes",
        .min = 1 * KIB,
        .max = 256 * MIB,
        .zero = "what the largest batch of any app needs, at least 1 MiB",
        .sentence = "The largest request body; 413 above that."},
    {.name = "message_bytes",
        .type = CONFIG_NUMBER,
        EDGE(message_bytes),
        .unit = "bytes",
        .min = 1 * KIB,
        .max = 16 * MIB,
        .zero = "what the largest event of any app needs, every byte escaped; at least 64 KiB",
        .sentence = "The largest WebSocket message from a client; larger ones end the connection."},
    {.name = "messages_per_second",
        .type = CONFIG_NUMBER,
        EDGE(messages_per_second),
        .unit = "a second",
        .max = RATE_MAX,
        .number = 100, /* ten times the client events that the protocol's default allows */
        .zero = "unlimited",
        .sentence = "Messages of any kind that a connection may send."},
    {.name = "messages_burst",
        .type = CONFIG_NUMBER,
        EDGE(messages_burst),
        .min = 1,
        .max = RATE_MAX,
        .number = 1000, /* a client that returns subscribes to all of its channels_per_connection at once */
        .sentence = "So many of them at once, after a silence."},
    {.name = "connections_per_address",
        .type = CONFIG_NUMBER,
        EDGE(connections_per_address),
        .max = UINT32_MAX,
        .zero = "unlimited",
        .sentence = "Connections from one address. Behind a balancer only with proxy_protocol or "
                    "trusted_proxies: otherwise "
                    "it is one address for all."},
    {.name = "accepts_per_address_per_second",
        .type = CONFIG_NUMBER,
        EDGE(accepts_per_address_per_second),
        .unit = "a second",
        .max = RATE_MAX,
        .zero = "unlimited",
        .sentence = "New connections from one address."},
    {.name = "outbox_bytes",
        .type = CONFIG_NUMBER,
        EDGE(outbox_bytes),
        .unit = "bytes",
        .min = 4 * KIB,
        .max = 1 * GIB,
        .number = 1 * MIB,
        .sentence = "What may wait for a slow reader (one larger frame may pass); above that the connection "
                    "is reset."},
    {.name = "outbox_stall_ms",
        .type = CONFIG_NUMBER,
        EDGE(outbox_stall_ms),
        .unit = "ms",
        .min = 100,
        .max = 10 * MINUTES,
        .number = 10000,
        .sentence = "A reader that takes nothing of what waits for so long is reset."},
    {.name = "outbox_worker_bytes",
        .type = CONFIG_NUMBER,
        EDGE(outbox_worker_bytes),
        .unit = "bytes",
        .min = 64 * KIB,
        .max = 1024 * GIB,
        .number = 256 * MIB,
        .sentence = "What may wait for all slow readers of one worker together."},
    {.name = "mailbox_length",
        .type = CONFIG_NUMBER,
        EDGE(mailbox_length),
        .min = 16,
        .max = 16 * MIB,
        .number = 64 * KIB,
        .restart = true,
        .sentence =
            "Messages that may wait between two threads; above that new work is refused as over capacity."},
    {.name = "balancer_wait_ms",
        .type = CONFIG_NUMBER,
        EDGE(balancer_wait_ms),
        .unit = "ms",
        .min = 1,
        .max = 10 * MINUTES,
        .zero = "2000 with proxy_protocol or trusted_proxies, otherwise none",
        .sentence =
            "On SIGTERM /readyz says 503 for so long before anything else happens: the balancer's health "
            "check "
            "hears of it, and sends nobody new. SIGINT does not wait, and a second signal ends the wait."},
    {.name = "drain_ms",
        .type = CONFIG_NUMBER,
        EDGE(drain_ms),
        .unit = "ms",
        .max = 60 * MINUTES,
        .number =
            7000, /* with balancer_wait_ms, within the 10 s that container runtimes give before they kill */
        .zero = "all at once",
        .sentence = "Then the connections are closed with 4200, spread over this time, since clients return "
                    "at once. A second signal ends it."},
    {.name = "hand_over",
        .type = CONFIG_TEXT,
        EDGE(hand_over),
        .max = 96, /* 107 with what is added while it is made */
        .text = "",
        .check = config_check_socket_path,
        .restart = true,
        .sentence =
            "The path of a socket at which another process of the same user, started with --take-over, is "
            "given the listening sockets; this one then drains. So a binary is replaced and nobody refused. "
            "Empty: that is not possible."},
    {.name = "state_dir",
        .type = CONFIG_TEXT,
        EDGE(state_dir),
        .max = 1024,
        .text = "",
        .restart = true,
        .sentence =
            "A folder that the server may write to: it keeps the last good address of each master under "
            "Sentinel, one small file a shard, so that an edge starts also when no Sentinel answers. "
            "Empty: not kept."},
    {0},
};

static const struct config_key log_keys[] = {
    {.name = "level",
        .type = CONFIG_CHOICE,
        AT(struct config, log.level),
        .text = "info",
        .choices = level_names,
        .sentence = "The least that is logged."},
    {.name = "format",
        .type = CONFIG_CHOICE,
        AT(struct config, log.format),
        .text = "auto",
        .choices = format_names,
        .sentence = "auto: text on a terminal, JSON otherwise."},
    {0},
};

const struct config_key config_table[] = {
    {.name = "$schema",
        .type = CONFIG_IGNORED,
        .max = 4096,
        .sentence = "For editors that check files by a schema; not read."},
    {.name = "edge", .type = CONFIG_OBJECT, .keys = edge_keys, .sentence = "This process."},
    {.name = "presence", .type = CONFIG_OBJECT, .keys = config_presence_keys, .sentence = "Who is where."},
    {.name = "redis", .type = CONFIG_OBJECT, .keys = config_redis_keys, .sentence = "Where a fleet meets."},
    {.name = "log", .type = CONFIG_OBJECT, .keys = log_keys, .sentence = "The log, on standard error."},
    {.name = "apps",
        .type = CONFIG_LIST,
        ITEMS(struct config, apps, app_count, struct app),
        .max = 10000,
        .keys = config_app_keys,
        .sentence = "The tenants: each has its own keys, channels and limits."},
    {.name = "include",
        .type = CONFIG_TEXT,
        AT(struct config, include),
        .max = 1024,
        .text = "",
        .sentence = "A folder (relative to this file) with more apps: each of its *.json files is one app or "
                    "a list of apps, written as here. They are read in the order of their names."},
    {0},
};
