/* Which endpoints there are, and how they become others without losing what waits for them. */
#include "edge/webhooks/webhooks_private.h"

#include "edge/base/log.h"
#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>

struct hooked_app *hooked_app_find(struct webhooks *webhooks, const char *app_id)
{
    struct hooked_app *hooked;
    HASH_FIND_STR(webhooks->apps, app_id, hooked);
    return hooked;
}

static struct hooked_app *add_app(struct webhooks *webhooks, const char *app_id)
{
    size_t bytes = strlen(app_id) + 1;
    struct hooked_app *hooked = new_zeroed(sizeof(*hooked) + bytes);
    memcpy(hooked->id, app_id, bytes);
    TAILQ_INIT(&hooked->endpoints);
    HASH_ADD_STR(webhooks->apps, id, hooked);
    return hooked;
}

/* ---- from old endpoints to new ones ---- */

static struct endpoint *take(struct endpoint_queue *from, struct endpoint *endpoint)
{
    if (endpoint)
        TAILQ_REMOVE(from, endpoint, of_app);
    return endpoint;
}

/* `before` is the configuration that the old ones are of. */
static struct endpoint *take_by_url(struct endpoint_queue *old, const struct app *before, const char *url)
{
    struct endpoint *endpoint;
    TAILQ_FOREACH (endpoint, old, of_app)
        if (strcmp(before->webhooks[endpoint->number].url, url) == 0)
            break;
    return take(old, endpoint);
}

static struct endpoint *take_by_number(struct endpoint_queue *old, size_t number)
{
    struct endpoint *endpoint;
    TAILQ_FOREACH (endpoint, old, of_app)
        if (endpoint->number == number)
            break;
    return take(old, endpoint);
}

/* The endpoint that each item of the app's list goes on with: the one of its URL; else, since then it has only moved to
 * another URL, the one at its place in the list; else (NULL) none. */
static struct endpoint **match(struct endpoint_queue *old, const struct app *before, const struct app *app)
{
    struct endpoint **matched = new_array(app->webhook_count + 1, sizeof(struct endpoint *));
    for (size_t i = 0; i < app->webhook_count; i++)
        if (app->webhooks[i].wants)
            matched[i] = take_by_url(old, before, app->webhooks[i].url);
    for (size_t i = 0; i < app->webhook_count; i++)
        if (app->webhooks[i].wants && !matched[i])
            matched[i] = take_by_number(old, i);
    return matched;
}

static void remove_endpoint(struct hooked_app *hooked, struct endpoint *endpoint)
{
    if (endpoint->length > 0)
        log_warn("webhook.removed",
            "app %s, webhooks[%zu]: gone from the configuration, and with it the %zu events that it had not "
            "taken",
            hooked->id, endpoint->number, endpoint->length);
    hooked->counts.removed += endpoint->length;
    endpoint_free(endpoint);
}

/* app NULL: it is gone. */
static void go_over(struct webhooks *webhooks, struct hooked_app *hooked, const struct app *app)
{
    static const struct app nothing;
    const struct app *before = hooked->app, *after = app ? app : &nothing;
    struct endpoint_queue old = TAILQ_HEAD_INITIALIZER(old);
    struct endpoint *endpoint;
    TAILQ_CONCAT(&old, &hooked->endpoints, of_app);
    struct endpoint **matched = match(&old, before, after);
    hooked->app = app_ref(app);
    for (size_t i = 0; i < after->webhook_count; i++) {
        if (!after->webhooks[i].wants)
            continue;
        endpoint_assign(matched[i] ? matched[i] : endpoint_new(webhooks, hooked), i);
    }
    while ((endpoint = take(&old, TAILQ_FIRST(&old))))
        remove_endpoint(hooked, endpoint);
    free(matched);
    app_unref(before);
}

void webhooks_reload(struct webhooks *webhooks, const struct config *config)
{
    for (size_t i = 0; i < config->app_count; i++) {
        const struct app *app = &config->apps[i];
        if (app->webhook_events && !hooked_app_find(webhooks, app->id))
            add_app(webhooks, app->id);
    }
    struct hooked_app *hooked, *next;
    HASH_ITER (hh, webhooks->apps, hooked, next)
        go_over(webhooks, hooked, config_app_by_id(config, hooked->id, strlen(hooked->id)));
    lanes_settle(webhooks);
}

void hooked_apps_free(struct webhooks *webhooks)
{
    struct hooked_app *hooked, *next;
    struct endpoint *endpoint;
    HASH_ITER (hh, webhooks->apps, hooked, next) {
        while ((endpoint = take(&hooked->endpoints, TAILQ_FIRST(&hooked->endpoints))))
            endpoint_free(endpoint);
        HASH_DELETE(hh, webhooks->apps, hooked);
        app_unref(hooked->app);
        free(hooked);
    }
}
