#include "edge/node/facts.h"

#include "edge/node/node_private.h"
#include "presence/engine/facts.h"

static void add_escaped(struct buffer *out, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] > ' ' && text[i] <= '~' && text[i] != '%')
            buffer_add(out, &text[i], 1);
        else
            buffer_printf(out, "%%%02X", (unsigned char)text[i]);
    }
}

static void add_fact(void *context, const struct engine_fact *fact)
{
    struct buffer *out = context;
    if (!fact->user && !fact->number && fact->is_settled)
        return;
    buffer_printf(out, "%u %ju %c %s ", fact->partition, (uintmax_t)fact->owner, fact->is_settled ? '=' : '~',
        fact->channel);
    if (fact->user) {
        buffer_add_string(out, "u ");
        add_escaped(out, fact->user, fact->user_bytes);
        buffer_add_string(out, "\n");
    } else {
        buffer_printf(out, "n %u\n", fact->number);
    }
}

bool node_write_facts(struct node *node, struct buffer *out)
{
    if (!node->engine)
        return false;
    engine_each_fact(node->engine, add_fact, out);
    return true;
}
