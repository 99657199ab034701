/* The jobs a driver can be given. Each is named by its verb; its options stand behind it, with n the number
 * of clients. */
#pragma once

#include "tests/bench/client.h"
#include "tests/bench/command.h"

/* n= window= channel= members= from= info= added=
 * Connects n clients, at most `window` of them on their way. With a channel each subscribes as soon as it is
 * open: all to that one, or with members=10 dealt out to n/10 channels, channel-00000, channel-00001, …,
 * which begin where those of `from` clients would have ended. Done when `added` member_added have come as
 * well. */
extern const struct job job_open;

/* n= channel= members= from= info= added=
 * The same for clients that are open already, all at once: everything is signed before the first is sent. */
extern const struct job job_subscribe;

/* n= how=reset|close|fin
 * Clients end their connections. */
extern const struct job job_leave;

/* ms=
 * Reads what comes and answers pings. */
extern const struct job job_wait;

/* n= connections= channel= bytes= distinct=
 * n signed publishes, each connection sending the next when the last one was answered. */
extern const struct job job_publish;

/* events= subscribers= channel= bytes= rate= verify=
 * Publishes that reach `subscribers` clients of this driver: the next one when all have it, or `rate` a
 * second. verify=1: each event must be the one that is next. */
extern const struct job job_fanout;

/* first= users= each=
 * Waits until every subscribed client has been told of `each` members of its channel leaving, all of them different and of
 * the `users` that begin with the number `first`. Anyone else, anyone twice and one too many is a violation. */
extern const struct job job_removals;

/* ms= n= channels= rate= publishes= seed=
 * `rate` random things a second: clients come, subscribe, talk and leave; so many publishes a second besides.
 */
extern const struct job job_churn;

/* ms= rate=
 * `rate` clients a second connect, and leave as soon as they have been greeted. Those who are sent away with 4200 after
 * that have been served. Done when all have left. */
extern const struct job job_knock;

/* ms= rate= bytes= settle= fresh=
 * Subscribed clients stay where they are: whoever is sent away comes back at once, and to his channel. `rate` events a
 * second are published to their channels meanwhile; the answer has the latency of each delivery, and in `away_ms` the
 * longest that anyone has waited from his end to his subscription. settle=1: done only when all are back. Can be given again
 * and again: who has a channel keeps it between the jobs, and both figures are those since fresh=1 was given. */
extern const struct job job_reside;

/* Who is subscribed to what. */
extern const struct job job_members;

enum { SECOND_NS = 1000000000, MILLISECOND_NS = 1000000 };

/* Prints ,"latency_us":{"p50":…} of a histogram of nanoseconds. */
struct histogram;
void answer_latency(const struct histogram *histogram);
