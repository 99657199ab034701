/* The body of POST /events and /batch_events. What is accepted must keep every limit; what is refused must
 * say why, in one line of UTF-8. The limits are small, so that they are met. */
#include "edge/api/event_list.h"
#include "edge/node/node.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static const struct config_limits limits = {
    .event_bytes = 20,
    .event_name_chars = 5,
    .channel_name_chars = 20,
    .channels_per_publish = 3,
    .batch_events = 2,
    .user_id_chars = 4,
};

static void check(int holds)
{
    if (!holds)
        abort();
}

static void check_accepted(const struct event_list *list, size_t most)
{
    check(list->count >= 1 && list->count <= most);
    for (size_t i = 0; i < list->count; i++) {
        const struct event_item *item = &list->items[i];
        check(item->name_bytes >= 1 && strlen(item->name) == item->name_bytes);
        check(strlen(item->data) == item->data_bytes && item->data_bytes <= limits.event_bytes);
        size_t channel_bytes = strlen(item->channel);
        if (item->channel[0] == '#')
            check(channel_bytes > strlen("#server-to-user-"));
        else
            check(channel_name_valid(item->channel, channel_bytes, limits.channel_name_chars));
        check(!(item->info & ~(unsigned)(INFO_ASKED | INFO_USER_COUNT | INFO_SUBSCRIPTION_COUNT)));
    }
}

static void check_refused(const struct event_refusal *refusal)
{
    check(refusal->status == 400 || refusal->status == 413);
    size_t length = strnlen(refusal->words, sizeof(refusal->words));
    check(length > 0 && length < sizeof(refusal->words) && !memchr(refusal->words, '\n', length));
    json_t *utf8 = json_stringn(refusal->words, length);
    check(utf8 != NULL);
    json_decref(utf8);
}

static void parse(struct event_list *list, size_t most, const struct event_refusal *refusal)
{
    if (list) {
        check_accepted(list, most);
        event_list_free(list);
    } else {
        check_refused(refusal);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct event_refusal refusal;
    const char *body = (const char *)bytes;
    parse(event_list_parse(&limits, body, length, &refusal), limits.channels_per_publish, &refusal);
    parse(event_list_parse_batch(&limits, body, length, &refusal), limits.batch_events, &refusal);
    return 0;
}
