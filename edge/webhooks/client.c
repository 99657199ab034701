#include "edge/webhooks/client.h"

#include "edge/base/container.h"
#include "edge/webhooks/address.h"
#include "presence/base/new.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    CONNECT_MAX_MS = 3000,
    REQUEST_MAX_MS = 10000,
    /* Of an answer, which nobody reads: headers and body. */
    ANSWER_MAX_BYTES = 64 * 1024,
    CONNECTIONS_KEPT_MAX = 64,
};

/* A socket of libcurl's that is watched. */
struct watch {
    LIST_ENTRY(watch) entry;
    uv_poll_t poll;
    curl_socket_t socket;
    struct client *client; /* NULL: it closes */
};

LIST_HEAD(watch_list, watch);

struct client {
    uv_loop_t *loop;
    bool any_address;
    CURLM *multi;
    uv_timer_t timer;
    struct watch_list watches;
};

/* ---- ends of requests ---- */

static enum client_result result_of(const struct client_request *request, CURLcode code)
{
    if (request->address_refused && code == CURLE_COULDNT_CONNECT)
        return CLIENT_ADDRESS_REFUSED;
    switch (code) {
    case CURLE_OK:
        return request->status / 100 == 2 ? CLIENT_DELIVERED : CLIENT_STATUS;
    case CURLE_OPERATION_TIMEDOUT:
        return CLIENT_TIMED_OUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return CLIENT_TLS;
    default:
        return CLIENT_UNREACHABLE;
    }
}

static void let_go(struct client_request *request)
{
    curl_multi_remove_handle(request->client->multi, request->easy);
    curl_easy_cleanup(request->easy);
    request->easy = NULL;
}

static void finish(struct client_request *request, CURLcode code)
{
    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &request->status);
    /* An answer that goes on and on is one: what it says stands in its first line. */
    if (code == CURLE_WRITE_ERROR && !request->answer && request->answer_bytes > ANSWER_MAX_BYTES)
        code = CURLE_OK;
    if (code == CURLE_OK)
        request->words[0] = '\0';
    else if (!request->words[0])
        strncat(request->words, curl_easy_strerror(code), sizeof(request->words) - 1);
    let_go(request);
    request->done(request, result_of(request, code));
}

static void finish_all(struct client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left))) {
        char *request;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result; /* the message goes with its handle */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
        finish((struct client_request *)(void *)request, code);
    }
}

/* ---- libcurl on the loop ---- */

static void on_watch_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_poll_t *)handle, struct watch, poll));
}

static void stop_watching(struct watch *watch)
{
    LIST_REMOVE(watch, entry);
    watch->client = NULL;
    uv_poll_stop(&watch->poll);
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static void on_readiness(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = CONTAINER_OF(poll, struct watch, poll);
    struct client *client = watch->client;
    int running, flags = 0;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    if (status < 0)
        flags = CURL_CSELECT_ERR;
    curl_multi_socket_action(client->multi, watch->socket, flags, &running);
    finish_all(client);
}

static struct watch *start_watching(struct client *client, curl_socket_t socket)
{
    struct watch *watch = new_zeroed(sizeof(*watch));
    watch->socket = socket;
    watch->client = client;
    must(uv_poll_init_socket(client->loop, &watch->poll, socket) == 0);
    LIST_INSERT_HEAD(&client->watches, watch, entry);
    curl_multi_assign(client->multi, socket, watch);
    return watch;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *watched)
{
    struct client *client = context;
    struct watch *watch = watched;
    int events = 0;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch)
            stop_watching(watch);
        curl_multi_assign(client->multi, socket, NULL);
        return 0;
    }
    if (what & CURL_POLL_IN)
        events |= UV_READABLE;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    if (!watch)
        watch = start_watching(client, socket);
    uv_poll_start(&watch->poll, events, on_readiness);
    return 0;
}

static void on_timeout(uv_timer_t *timer)
{
    struct client *client = CONTAINER_OF(timer, struct client, timer);
    int running;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    finish_all(client);
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *context)
{
    struct client *client = context;
    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&client->timer);
    else
        uv_timer_start(&client->timer, on_timeout, (uint64_t)timeout_ms, 0);
    return 0;
}

/* ---- one request ---- */

/* The address that is going to be connected to, whatever the name's servers have said to others. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct client_request *request = context;
    (void)purpose;
    if (!request->client->any_address && !address_is_public(&to->addr)) {
        request->address_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* Of headers and bodies; anything but `length` ends the request. */
static size_t on_answer(char *bytes, size_t size, size_t count, void *context)
{
    struct client_request *request = context;
    size_t length = size * count;
    (void)bytes;
    request->answer_bytes += length;
    return request->answer_bytes > ANSWER_MAX_BYTES ? 0 : length;
}

static size_t on_kept_answer(char *bytes, size_t size, size_t count, void *context)
{
    struct client_request *request = context;
    size_t length = size * count;
    if (length > request->answer_max_bytes - request->answer->length)
        return 0;
    buffer_add(request->answer, bytes, length);
    return length;
}

static void set_text(CURL *easy, CURLoption option, const char *text)
{
    must(curl_easy_setopt(easy, option, text) == CURLE_OK);
}

static void set_number(CURL *easy, CURLoption option, long number)
{
    must(curl_easy_setopt(easy, option, number) == CURLE_OK);
}

static void set_rules(CURL *easy)
{
    set_number(easy, CURLOPT_NOSIGNAL, 1);
    set_text(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set_text(
        easy, CURLOPT_PROXY, ""); /* not what the environment says: its address would be the one checked */
    set_number(easy, CURLOPT_FOLLOWLOCATION, 0);
    set_number(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    set_number(easy, CURLOPT_SSL_VERIFYPEER, 1);
    set_number(easy, CURLOPT_SSL_VERIFYHOST, 2);
    set_number(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    set_number(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MAX_MS);
    set_number(easy, CURLOPT_TIMEOUT_MS, REQUEST_MAX_MS);
    /* Without, giving up on a slow look-up of a name would wait for it, and with it this thread. */
    set_number(easy, CURLOPT_QUICK_EXIT, 1);
}

static void set_request(CURL *easy, struct client_request *request)
{
    set_text(easy, CURLOPT_URL, request->url);
    if (request->ca_file[0])
        set_text(easy, CURLOPT_CAINFO, request->ca_file);
    must(curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers) == CURLE_OK);
    if (request->body) {
        must(
            curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes) == CURLE_OK);
        must(curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body) == CURLE_OK);
    }
    must(curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->words) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_PRIVATE, request) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, request) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, request->answer ? on_kept_answer : on_answer) ==
         CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_WRITEDATA, request) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_answer) == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_HEADERDATA, request) == CURLE_OK);
}

void client_post(struct client *client, struct client_request *request)
{
    request->client = client;
    request->easy = must_have(curl_easy_init());
    set_rules(request->easy);
    set_request(request->easy, request);
    must(curl_multi_add_handle(client->multi, request->easy) == CURLM_OK);
}

void client_cancel(struct client_request *request)
{
    if (request->easy)
        let_go(request);
}

/* ---- life ---- */

struct client *client_new(uv_loop_t *loop, bool any_address)
{
    struct client *client = new_zeroed(sizeof(*client));
    must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    client->loop = loop;
    client->any_address = any_address;
    client->multi = must_have(curl_multi_init());
    uv_timer_init(loop, &client->timer);
    LIST_INIT(&client->watches);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT_MAX);
    return client;
}

static void on_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_timer_t *)handle, struct client, timer));
    curl_global_cleanup(); /* as often as client_new() */
}

void client_close(struct client *client)
{
    curl_multi_cleanup(client->multi);
    while (!LIST_EMPTY(&client->watches))
        stop_watching(LIST_FIRST(&client->watches));
    uv_close((uv_handle_t *)&client->timer, on_closed);
}
