/* The text of what travels on the bus, and the names of keys (presence/redis/keys_and_scripts.h). Pure. */
#pragma once

#include "presence/engine/args.h"
#include "presence/store.h"

/* One line of the bus, taken apart; pointers go into the message. */
struct wire_event {
    enum wire_kind {
        WIRE_ADDED = '+',
        WIRE_REMOVED = '-',
        WIRE_MARKER = '=',
        WIRE_COUNT = 'n',
        WIRE_EVENT = 'e',
    } kind;
    const char *timeline;
    size_t timeline_bytes;
    uint64_t previous, version, owner;
    uint64_t count;
    const char *id, *info; /* info: to the end of the message */
    size_t id_bytes, info_bytes;
    /* WIRE_EVENT */
    enum store_event_kind event_kind;
    uint64_t ttl_ms;
    struct socket_id event_id, exclude;
    const char *text;
    size_t text_bytes;
};

/* False when it is not a message that this release knows. */
bool wire_parse(const char *message, size_t bytes, struct wire_event *event);

/* Adds the message of a published event to args. */
void wire_event_add(struct args *args, const struct store_event *event, uint64_t ttl_ms, struct socket_id id);

/* The app's id as it stands in keys: % { } and : escaped. To be freed. */
char *wire_app_key(const char *app_id);

/* The partition of a channel: FNV-1a of "<app>:<name>" over their number. */
unsigned wire_partition(const char *app_id, const char *name, unsigned partitions);

/* A user's field in a roster: "<owner>,<owner>…|<info>". False when it is junk. */
struct wire_user {
    const char *owners, *info;
    size_t owners_bytes, info_bytes;
};
bool wire_user_parse(const char *value, size_t bytes, struct wire_user *user);
/* How many owners there are: each has one subscription, and what it has beyond that is in the channel's numbers. */
uint64_t wire_user_sockets(const struct wire_user *user);
/* Whether an owner is named, and whether another one is. */
void wire_user_owners(const struct wire_user *user, uint64_t me, bool *mine, bool *others);
