/* The inside of connections, for the files of edge/pusher only.
 *
 *   connection.c     life: new, opened, closed; ends
 *   sending.c        outboxes, held back frames, slow readers, the end of the turn
 *   deadline.c       silence, pings, stalls
 *   receive.c        rate of messages; what a message is about
 *   subscribe.c      subscriptions, and the node's answers
 *   client_event.c   client events
 *   signin.c         signing in as a user
 *   watchlist.c      users' own channels, watchlists
 *   admit.c          who is let in
 *   reload.c         another configuration
 */
#pragma once

#include "edge/pusher/connection.h"
#include "edge/pusher/events.h"
#include "edge/pusher/message.h"
#include "edge/worker.h"

#include <stdarg.h>

struct json_t; /* jansson's */

/* A client event on its way through the node: tells its sender if it was not accepted. */
struct client_publish {
    LIST_ENTRY(client_publish) of_connection;
    struct connection *connection; /* NULL when it has gone */
};

/* Texts of clients that an error quotes are cut to this; a quoted signature string is longer than most. */
enum { QUOTE_MAX_BYTES = 256, WORDS_MAX_BYTES = 2048 };

/* pusher:error; the connection stays. code 0: null. The text is cut to WORDS_MAX_BYTES. */
void connection_complain(struct connection *connection, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with words made by vsnprintf. `words` has room for WORDS_MAX_BYTES. */
void connection_words(char words[WORDS_MAX_BYTES], const char *format, va_list arguments);

/* For "%.*s": a text of a client, cut for quoting. */
#define QUOTE(text) (int)json_text_cut(text, QUOTE_MAX_BYTES), (text).bytes ? (text).bytes : ""

/* The app's pair that signed: the one whose key stands before the colon of `auth`, whichever the connection came with.
 * (While an app changes its pairs, pages and back ends do not do so at the same moment.) Without such a pair, the
 * connection's own. */
const struct app_key *connection_pair_of(const struct connection *connection, struct json_text auth);

/* ---- admit.c ---- */

/* The places that connection_admit() took, and its reference to the app. */
void connection_give_back(const struct app *app, struct worker *worker);

/* ---- sending.c ---- */

/* On the list of what is looked at at the end of this turn. */
void connection_mark_dirty(struct connection *connection);

/* Throws the socket away at the end of the turn, after trying to say why. */
void connection_slow(struct connection *connection, const char *why);

/* The end of a connection: nothing of it waits any more. */
void connection_stop_sending(struct connection *connection);

/* ---- deadline.c ---- */

void connection_watch(struct connection *connection);       /* from the opening on */
void connection_watch_stall(struct connection *connection); /* it has just become blocked */

/* Deadlines may have become shorter. */
void connection_watch_anew(struct connection *connection);

/* ---- subscribe.c ---- */

void connection_subscribe(struct connection *connection, struct message *message);
void connection_unsubscribe(struct connection *connection, struct message *message);
struct subscription *connection_subscription(struct connection *connection, struct json_text channel);
void connection_give_up_subscriptions(struct connection *connection);

/* Hangs a subscription, whose kind and user_info are set, onto the connection and asks the node for it. */
void connection_ask_node(struct connection *connection, struct subscription *subscription);

/* Takes a subscription off its connection, without a word to the node. */
void connection_unlink(struct subscription *subscription);

/* ---- signin.c, watchlist.c ---- */

void connection_signin(struct connection *connection, struct message *message);

/* Puts the connection into its user's channel, and watches the users of the list (strings; NULL: none). */
void connection_watch_users(struct connection *connection, const struct json_t *watchlist);

/* The node's answer to a subscription of kind CHANNEL_USER. */
void connection_user_subscribed(struct subscription *subscription);

/* ---- client_event.c ---- */

void connection_client_event(struct connection *connection, struct message *message);
void connection_forget_publishes(struct connection *connection);
