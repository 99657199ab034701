/* An endpoint: its queue, its batches, its pauses, and what it loses. */
#include "edge/webhooks/webhooks_private.h"

#include "auth/digest.h"
#include "edge/base/clock.h"
#include "edge/base/container.h"
#include "edge/base/log.h"
#include "presence/base/new.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_EVENTS_MAX = 100,
    BATCH_BYTES_MAX = 256 * 1024, /* one larger event may pass */
    BATCH_LOOKS_MAX = 1000,       /* events of the queue that are looked at for one batch */
    /* Some 100,000 events of ordinary length; and all endpoints together. */
    QUEUE_BYTES_MAX = 32 << 20,
    QUEUES_BYTES_MAX = 256 << 20,
    FIRST_PAUSE_MS = 500,
    LAST_PAUSE_MS = 30 * 1000,
    /* http-api.md, "Webhooks": retried for 5 minutes. */
    GIVE_UP_MS = 5 * 60 * 1000,
};

/* ---- the queue ---- */

static size_t bytes_of(const struct event *event)
{
    return sizeof(struct item) + sizeof(*event) + event->json_bytes;
}

static void remove_item(struct endpoint *endpoint, struct item_queue *from, struct item *item)
{
    TAILQ_REMOVE(from, item, entry);
    endpoint->length--;
    endpoint->bytes -= bytes_of(item->event);
    endpoint->webhooks->bytes -= bytes_of(item->event);
    event_release(item->event);
    free(item);
}

static bool overflows(const struct endpoint *endpoint)
{
    return endpoint->bytes > QUEUE_BYTES_MAX || endpoint->webhooks->bytes > QUEUES_BYTES_MAX;
}

/* Who makes all of them together too large is whoever has the most. */
static struct endpoint *largest(struct endpoint *endpoint)
{
    struct webhooks *webhooks = endpoint->webhooks;
    struct endpoint *most = endpoint, *other;
    if (endpoint->bytes > QUEUE_BYTES_MAX)
        return endpoint;
    TAILQ_FOREACH (other, &webhooks->endpoints, of_all)
        if (other->bytes > most->bytes)
            most = other;
    return most;
}

static void bound(struct endpoint *added_to)
{
    while (overflows(added_to)) {
        struct endpoint *endpoint = largest(added_to);
        struct item *oldest = TAILQ_FIRST(&endpoint->queue);
        if (!oldest)
            return; /* a batch of large events is all there is */
        log_error("webhook.overflow",
            "app %s, webhooks[%zu]: its queue is full (%zu events, %zu bytes); dropped the oldest, %s",
            endpoint->hooked->id, endpoint->number, endpoint->length, endpoint->bytes, oldest->event->id);
        endpoint->hooked->counts.overflowed++;
        remove_item(endpoint, &endpoint->queue, oldest);
    }
}

void endpoint_add(struct endpoint *endpoint, struct event *event)
{
    struct item *item = must_have(malloc(sizeof(*item)));
    *item = (struct item){.event = event, .since_ms = endpoint->webhooks->now_ms()};
    event->waiting++;
    TAILQ_INSERT_TAIL(&endpoint->queue, item, entry);
    endpoint->length++;
    endpoint->bytes += bytes_of(event);
    endpoint->webhooks->bytes += bytes_of(event);
    if (!endpoint->is_fed)
        TAILQ_INSERT_TAIL(&endpoint->webhooks->fed, endpoint, of_fed);
    endpoint->is_fed = true;
    bound(endpoint);
}

uint64_t endpoint_oldest_ms(const struct endpoint *endpoint)
{
    const struct item *first = TAILQ_FIRST(&endpoint->batch);
    if (!first)
        first = TAILQ_FIRST(&endpoint->queue);
    return first ? first->since_ms : 0;
}

/* Another edge tells those whose lane was lost. */
static void forget_lost(struct endpoint *endpoint, struct item_queue *queue)
{
    struct item *item, *next;
    for (item = TAILQ_FIRST(queue); item; item = next) {
        next = TAILQ_NEXT(item, entry);
        if (!item->event->lane)
            remove_item(endpoint, queue, item);
    }
}

void endpoint_forget_lost(struct endpoint *endpoint)
{
    forget_lost(endpoint, &endpoint->queue);
    if (!endpoint->under_way)
        forget_lost(endpoint, &endpoint->batch);
}

/* ---- batches ---- */

/* Channels of which an event was passed over; two that share a bit only wait for each other. */
struct passed {
    uint64_t bits[64];
};

static bool has_passed(const struct passed *passed, uint32_t hash)
{
    return passed->bits[hash / 64 % 64] >> hash % 64 & 1;
}

static void pass(struct passed *passed, uint32_t hash)
{
    passed->bits[hash / 64 % 64] |= UINT64_C(1) << hash % 64;
}

/* The first event, and those behind it that may be told together with it: of the same form, and without overtaking one
 * of their own channel. */
static void form_batch(struct endpoint *endpoint)
{
    struct passed passed = {0};
    struct item *item = TAILQ_FIRST(&endpoint->queue), *next;
    unsigned form = item ? item->event->form : 0, looks = 0, count = 0;
    size_t bytes = 0;
    for (; item && looks < BATCH_LOOKS_MAX && count < BATCH_EVENTS_MAX; item = next, looks++) {
        struct event *event = item->event;
        next = TAILQ_NEXT(item, entry);
        if (event->form != form || has_passed(&passed, event->channel_hash)) {
            pass(&passed, event->channel_hash);
            continue;
        }
        bytes += event->json_bytes;
        if (count > 0 && bytes > BATCH_BYTES_MAX)
            return;
        TAILQ_REMOVE(&endpoint->queue, item, entry);
        TAILQ_INSERT_TAIL(&endpoint->batch, item, entry);
        count++;
    }
}

static void write_body(struct endpoint *endpoint)
{
    const char *comma = "";
    struct item *item;
    endpoint->body.length = 0;
    buffer_printf(&endpoint->body, "{\"time_ms\":%" PRId64 ",\"events\":[", clock_wall_ms());
    TAILQ_FOREACH (item, &endpoint->batch, entry) {
        buffer_add_string(&endpoint->body, comma);
        buffer_add(&endpoint->body, item->event->json, item->event->json_bytes);
        comma = ",";
    }
    buffer_add_string(&endpoint->body, "]}");
}

/* ---- requests ---- */

static void add_header(struct curl_slist **headers, const char *name, const char *value)
{
    char *line = new_printed("%s: %s", name, value);
    *headers = must_have(curl_slist_append(*headers, line));
    free(line);
}

/* PHP reads these names in exactly this case. */
static struct curl_slist *headers_of(const struct endpoint *endpoint)
{
    const struct app *app = endpoint->posting;
    const struct digest_piece body = {endpoint->body.bytes, endpoint->body.length};
    char signature[SHA256_HEX_CHARS + 1];
    struct curl_slist *headers = NULL;
    digest_hmac_sha256_hex(app->secret, strlen(app->secret), &body, 1, signature);
    add_header(&headers, "Content-Type", "application/json");
    add_header(&headers, "X-Pusher-Key", app->key);
    add_header(&headers, "X-Pusher-Signature", signature);
    add_header(&headers, "Expect", ""); /* none: bodies are small, and few servers answer it well */
    add_header(&headers, "User-Agent", "Rollcall/" ROLLCALL_VERSION);
    for (size_t i = 0; i < endpoint->config->header_count; i++)
        add_header(&headers, endpoint->config->headers[i].name, endpoint->config->headers[i].value);
    return headers;
}

static void on_answered(struct client_request *request, enum client_result result);

/* Time and signature are those of this attempt. */
static void post(struct endpoint *endpoint)
{
    const struct config_webhook *config = endpoint->config;
    struct webhooks *webhooks = endpoint->webhooks;
    endpoint->posting = app_ref(endpoint->hooked->app);
    write_body(endpoint);
    endpoint->headers = headers_of(endpoint);
    endpoint->request = (struct client_request){
        .url = config->url,
        .ca_file = config->ca_file,
        .headers = endpoint->headers,
        .body = endpoint->body.bytes,
        .body_bytes = endpoint->body.length,
        .done = on_answered,
    };
    endpoint->under_way = true;
    endpoint->hooked->counts.attempts++;
    client_post(config->allow_private_addresses ? webhooks->open : webhooks->guarded, &endpoint->request);
}

void endpoint_go(struct endpoint *endpoint)
{
    if (endpoint->under_way || endpoint->pause.due_ms)
        return;
    forget_lost(endpoint, &endpoint->batch); /* those that were lost while it was under way */
    if (TAILQ_EMPTY(&endpoint->batch))
        form_batch(endpoint);
    if (!TAILQ_EMPTY(&endpoint->batch))
        post(endpoint);
}

/* ---- answers ---- */

static void succeed(struct endpoint *endpoint)
{
    struct item *item;
    if (endpoint->failures > 0)
        log_info("webhook.recovered", "app %s, webhooks[%zu]: takes events again after %u failures",
            endpoint->hooked->id, endpoint->number, endpoint->failures);
    endpoint->failures = 0;
    endpoint->failing_since_ms = 0;
    while ((item = TAILQ_FIRST(&endpoint->batch))) {
        endpoint->hooked->counts.delivered++;
        remove_item(endpoint, &endpoint->batch, item);
    }
}

static size_t give_up(struct endpoint *endpoint, struct item_queue *queue, uint64_t now_ms)
{
    size_t count = 0;
    struct item *item;
    while ((item = TAILQ_FIRST(queue)) && now_ms - item->since_ms >= GIVE_UP_MS) {
        remove_item(endpoint, queue, item);
        count++;
    }
    return count;
}

/* Every event is tried for 5 minutes, those that waited behind others as part of these attempts; an endpoint that only
 * hesitated loses none. */
static void bury(struct endpoint *endpoint, uint64_t now_ms, const char *why)
{
    if (now_ms - endpoint->failing_since_ms < GIVE_UP_MS)
        return;
    size_t count = give_up(endpoint, &endpoint->batch, now_ms);
    count += give_up(endpoint, &endpoint->queue, now_ms);
    if (count == 0)
        return;
    endpoint->hooked->counts.given_up += count;
    log_error("webhook.dead_letter",
        "app %s, webhooks[%zu]: gave %zu events up, after %u failures in %ju s; %s", endpoint->hooked->id,
        endpoint->number, count, endpoint->failures, (uintmax_t)(now_ms - endpoint->failing_since_ms) / 1000,
        why);
}

/* Twice as long each time, and by chance up to a quarter shorter, so that endpoints on one host part. The attempt at
 * the end of the 5 minutes is not missed. */
static uint64_t pause_ms(const struct endpoint *endpoint, uint64_t now_ms)
{
    uint64_t pause = FIRST_PAUSE_MS, until_end = endpoint->failing_since_ms + GIVE_UP_MS;
    for (unsigned i = 1; i < endpoint->failures && pause < LAST_PAUSE_MS; i++)
        pause *= 2;
    if (pause > LAST_PAUSE_MS)
        pause = LAST_PAUSE_MS;
    pause -= uv_hrtime() % (pause / 4);
    return now_ms < until_end && now_ms + pause > until_end ? until_end - now_ms : pause;
}

static void fail(struct endpoint *endpoint, enum client_result result)
{
    uint64_t now_ms = endpoint->webhooks->now_ms();
    char why[CURL_ERROR_SIZE + 32];
    if (result == CLIENT_STATUS)
        snprintf(why, sizeof(why), "it answered %ld", endpoint->request.status);
    else if (result == CLIENT_ADDRESS_REFUSED)
        snprintf(why, sizeof(why), "it is at a private address, which its configuration does not allow");
    else
        snprintf(why, sizeof(why), "%s", endpoint->request.words);
    if (endpoint->failures++ == 0) {
        endpoint->failing_since_ms = now_ms;
        log_warn("webhook.failed", "app %s, webhooks[%zu]: does not take events, and is tried again; %s",
            endpoint->hooked->id, endpoint->number, why);
    }
    endpoint->hooked->counts.failures[result]++;
    bury(endpoint, now_ms, why);
    wheel_set(endpoint->webhooks->wheel, &endpoint->pause, now_ms + pause_ms(endpoint, now_ms));
}

static void on_pause_over(struct wheel_timer *timer, uint64_t now_ms)
{
    struct endpoint *endpoint = CONTAINER_OF(timer, struct endpoint, pause);
    (void)now_ms;
    endpoint_go(endpoint);
    lanes_settle(endpoint->webhooks);
}

static void end_request(struct endpoint *endpoint)
{
    endpoint->under_way = false;
    curl_slist_free_all(endpoint->headers);
    endpoint->headers = NULL;
    app_unref(endpoint->posting);
    endpoint->posting = NULL;
}

static void on_answered(struct client_request *request, enum client_result result)
{
    struct endpoint *endpoint = CONTAINER_OF(request, struct endpoint, request);
    end_request(endpoint);
    if (result == CLIENT_DELIVERED)
        succeed(endpoint);
    else
        fail(endpoint, result);
    endpoint_go(endpoint);
    lanes_settle(endpoint->webhooks);
}

/* ---- life ---- */

struct endpoint *endpoint_new(struct webhooks *webhooks, struct hooked_app *hooked)
{
    struct endpoint *endpoint = new_zeroed(sizeof(*endpoint));
    endpoint->webhooks = webhooks;
    endpoint->hooked = hooked;
    endpoint->pause.expired = on_pause_over;
    TAILQ_INIT(&endpoint->queue);
    TAILQ_INIT(&endpoint->batch);
    TAILQ_INSERT_TAIL(&webhooks->endpoints, endpoint, of_all);
    return endpoint;
}

/* What was wrong with the URL before says nothing of the new one. */
static void begin_anew(struct endpoint *endpoint)
{
    wheel_cancel(&endpoint->pause);
    endpoint->failures = 0;
    endpoint->failing_since_ms = 0;
}

void endpoint_assign(struct endpoint *endpoint, size_t number)
{
    const struct config_webhook *before = endpoint->config;
    endpoint->number = number;
    endpoint->config = &endpoint->hooked->app->webhooks[number];
    TAILQ_INSERT_TAIL(&endpoint->hooked->endpoints, endpoint, of_app);
    /* What is under way ends as it began, and if it fails, is tried again at the new one. */
    if (before && strcmp(before->url, endpoint->config->url) != 0)
        begin_anew(endpoint);
    endpoint_go(endpoint);
}

void endpoint_free(struct endpoint *endpoint)
{
    struct item *item;
    client_cancel(&endpoint->request);
    wheel_cancel(&endpoint->pause);
    while ((item = TAILQ_FIRST(&endpoint->batch)))
        remove_item(endpoint, &endpoint->batch, item);
    while ((item = TAILQ_FIRST(&endpoint->queue)))
        remove_item(endpoint, &endpoint->queue, item);
    if (endpoint->is_fed)
        TAILQ_REMOVE(&endpoint->webhooks->fed, endpoint, of_fed);
    TAILQ_REMOVE(&endpoint->webhooks->endpoints, endpoint, of_all);
    end_request(endpoint);
    buffer_deinit(&endpoint->body);
    free(endpoint);
}
