/* What lies in Redis, and the scripts that alone may touch it. This file is the reference for both sides: the
 * engine (presence/engine/) that calls them, and the simulator that runs them.
 *
 * Words: presence.md's. Times in scripts are microseconds of Redis' TIME unless a name says ms. Numbers travel
 * as decimal text; all stay below 2^53.
 *
 * `channel` below is always the pair of app and name in one string: the app's id with % { } and : written as
 * %25 %7B %7D %3A, then ':', then the channel's name as it is.
 *
 * KEYS. P is the base of partition 17: "<prefix>:{17}", and by layout version 2 "<prefix>:{17}.2", so that a partition that
 * comes back to a shard does not meet what it left there. The prefix holds no brace. An `entry` says where a partition lives:
 * "<layout version> <shard>". Of two entries the higher version is right; of one version, the greater name.
 *
 *   <prefix>:shard     hash    shard stamp: c cluster, n shard, r replication id, t timeline,
 *                              l<partition> the entry of each partition,
 *                              a<shard> time at which an edge last said that it stands by that shard,
 *                              s settings, as below, hb time at which an edge last said that it has them
 *   P                  hash    partition stamp:
 *                              id  "cluster\nshard\nlayout version\nsettings", compared whole; settings is
 *                                  "format partitions heartbeat_ms lease_ms" and whatever else must be equal
 *                              t   timeline "<microseconds>-<16 hex digits>"
 *                              st  the shard's timeline that this one followed last
 *                              c   lease clock        m  its value at the last new timeline
 *                              hb  time of the last heartbeat
 *                              v   last version given out     o  last owner number given out
 *                              b   when this dataset was born (none: by an older release)
 *                              h, l, d, s   heartbeat, lease, data TTL, scrub period (microseconds)
 *                              dl, de   the owner that delivers the outbox, and until when on the lease clock
 *                                       (in a copy that was left: an incarnation, and Redis' time)
 *                              fr  entry of the copy it came from, while that may have transitions to be told
 *                              to  the entry in force: the fleet has left this copy. It refuses all but `outbox`, and it,
 *                                  P:l, P:out and P:due have a TTL of D from then on, or from the last `outbox`
 *   P:l                zset    leases: owner number -> expiry on the lease clock
 *   P:o:<owner>        hash    i incarnation (16 hex digits), s sequence number, e name of the edge; while it wants the
 *                              partition on another shard w its name, b the topic of its beat.        TTL D
 *   P:h:<owner>        set     channels in which this owner has facts.                                TTL D
 *   P:r:<channel>      hash    roster: v version, b version it was born with, u<user id> ->
 *                              "<owner>,<owner>…|<info>".     TTL D; 2 S once it holds no user
 *   P:s:<channel>      hash    owner -> number of subscriptions (a channel with a roster: of those beyond one
 *                              for each user).                                                        TTL D
 *   P:c:<app>          set     names of the app's occupied channels; each is checked when read.       TTL D
 *   P:k:<channel>      string  the cached event, as it was published.                  TTL: the event's own
 *   P:out              stream  transitions for webhooks: k kind, c channel, u user, t timeline, r reason,
 *                              n count, p payload
 *   P:due              zset    "<kind> <channel bytes> <channel><user>" -> lease clock at which it is told, its
 *                              last digit the reason. Kind absent: his departure was told within the wait
 *                              after a loss, so whoever asserts him has his arrival told. Kind counted: the
 *                              sum of numbers is told if it is not what stands in place of the user
 *   P:q                hash    connections, of apps with a limit whose id hashes to this partition: owner ->
 *                              "<lease clock>\n<app>\n<number>…", and `sum` -> the same of all of them,
 *                              as it was then. App ids hold no control characters.                 TTL D
 *   P:m:<channel>      string  a cache miss was noted lately.                          TTL: as long as that
 *
 * PUB/SUB
 *   P:e:<channel>      what happens in a channel, in one order:
 *       1+ <timeline> <previous> <version> <owner> <id bytes> <id><info>   a user came
 *       1- <timeline> <previous> <version> <owner> <id bytes> <id>         a user left
 *       1= <timeline> <version> <version> <owner> <id bytes> <id>          a join that changed no set of users
 *       1n <timeline> <version> <count>                                    subscriptions in the fleet
 *       1e <kind m|t> <ttl ms> <id edge> <id serial> <exclude edge> <exclude serial> <text>   (hex, hex, …)
 *     previous is 0 where the roster was born. Numbers are decimal, those of the event's line hexadecimal
 *     without prefix, but for the ttl.
 *   P:w                "1": P:out has something new, or a departure in P:due is to be told; for who delivers
 *   <prefix>:b:<edge>  the beat of one edge: "1b"; and "1m <partition> <entry>": that is where it lives now
 *
 * ANSWERS. An array whose first element is one of
 *   OK          what the script says below
 *   DUP         the number was seen: nothing changed; then as for OK, taken from the present state
 *   GAP s       the number does not follow s
 *   NOSTAMP     no (or a damaged) stamp, or the shard's does not fit: say hello
 *   FOREIGN     (hello) no stamp in a dataset that is not empty
 *   UNSURE      (hello) an empty dataset, and the caller may not stamp it
 *   WRONGSHARD  cluster shard: what the stamp says
 *   NEWLAYOUT   layout version, shard
 *   SETTINGS    the settings that the fleet has
 *   NEWTIMELINE timeline
 *   NOOWNER     the record is gone or another's: this owner number is fenced for ever
 * Where several apply, the first of NOSTAMP WRONGSHARD NEWLAYOUT SETTINGS NEWTIMELINE NOOWNER. Answers other
 * than OK (and hello's) changed nothing.
 *
 * SCRIPTS. KEYS[1] is P; hello and heartbeat have KEYS[2] = "<prefix>:shard"; layout has that alone. All but hello and layout
 * begin with
 *   ARGV[1] id   ARGV[2] timeline   ARGV[3] owner   ARGV[4] incarnation
 * and what follows is numbered from ARGV[5]. "…" repeats. An outcome is the version at which the change can
 * be seen, or -1: the channel is full.
 *
 *   hello      ARGV: cluster, shard, layout version, settings, partition, may-stamp 0|1, random (16 hex),
 *              owner or 0, its incarnation, incarnation of a new owner, edge name, h, l, d, s (microseconds),
 *              entry of the copy that the caller has left for this one ("": none)
 *              OK timeline clock mark owner sequence version now-us replication-id known(0|1: owner was kept)
 *                 fr("": none) microseconds by which the server's clock has gone back, negative, when this opened a timeline (0: not)
 *   write      number, outbox 0|1, then […] of six:
 *                j channel user info cap -     join; cap 0: not enforced (accepted before)
 *                l channel user why  -   hold  leave, why: enum store_reason; hold 1: this owner still has facts in the channel
 *                n channel n    tell why hold  n subscriptions; tell 1: publish the sum, and the channel
 *                                              is occupied by it (0: extras of a channel with a roster)
 *              OK number outcome…
 *   leave      write, which Redis also lets run when it is out of memory
 *   assert     number, outbox 0|1|owner, facts, then [kind j|n|x, channel, user or n, info, cap]…,
 *              then [channel, user]… to restate, user "" for the number. kind x is n with tell 0.
 *              cap 0: was accepted. info of n: the sum that was told last
 *              owner: under which the caller asserted last, and whose lease cannot have run out: who is not
 *              restated is told only if his departure was told on this timeline
 *              OK number outcome…      number <= Redis' own: DUP
 *   heartbeat  beat channel, shard on which the caller wants the partition, then [app, connections here]… of apps with a limit
 *              OK sequence clock mark held-channels now-us entry("": it stays here)
 *                 microseconds that the clock stood still (negative: the server's clock went back by so many)
 *                 connections-elsewhere…(one an app) owner…(expired)
 *   reap       victim, channels at most, outbox 0|1
 *              OK channels left       0: gone.  -1: not expired
 *                 name of the edge, when it was this call that condemned the owner, else ""
 *                 users taken out, or in whose place others stay
 *   retire     grace (microseconds)
 *              OK
 *   read       channel
 *              OK last-version clock extras cached("" none) cached-ttl-ms, then the fields of P:r as they stand, [name, value]…
 *   scrub      outbox 0|1, then [channel, kind r|n, known, extras or n, users, user…]…
 *              known: the version (r), or the sum (n), that the caller's view has
 *              OK flags…   one a channel: 1 known is another: read; 2 facts of mine differ: assert
 *   publish    channel, ttl ms (0: not cached), message
 *              OK
 *   channels   app, cursor, prefix
 *              OK next-cursor("0": end) [name, subscriptions, users]…
 *   outbox     entries at most (0: only claim), id up to which they may go ("": none), claim 0|1,
 *              id after which they are wanted ("": all), 1: the copies it came from are empty
 *              OK [id, kind, channel, user, "timeline reason count payload"]…     deliver in this order
 *              OK -     another edge delivers this partition's
 *              each followed, with a claim, by: clock, and the same again if everything was told and is done
 *              with, else 0; not in a copy that was left
 *              In a copy that was left the caller needs to know neither timeline nor owner; without entries: it is empty
 *   note       kind, channel, user, payload, once in so many ms (0: always)
 *              OK
 *   look       owners at most, channel or "", users at most, user or "" for all
 *              OK clock owners(how many follow) numbers(likewise) users(in all) users(likewise)
 *                 [owner, lease, incarnation, sequence, edge, channels]… soonest to expire first,
 *                 [owner, number of subscriptions]… as in P:s, [u<id>, value]… as in P:r
 *   layout     ARGV: cluster, shard, settings, 2 L (microseconds), the shards that the caller stands by (a line feed behind
 *              each), random (16 hex; "": the caller may not stamp an empty dataset), the entry of each partition as the
 *              caller knows it ("": not)
 *              OK STAMPED [entry("": none), 0|1: nobody has stood by its shard for 2 L]…   of each partition, as it was
 *              OK EMPTY, OK UNSTAMPED     no stamp, in a dataset that is empty or not
 */
#pragma once

#include <stddef.h>

enum script {
    SCRIPT_HELLO,
    SCRIPT_WRITE,
    SCRIPT_LEAVE,
    SCRIPT_ASSERT,
    SCRIPT_HEARTBEAT,
    SCRIPT_REAP,
    SCRIPT_RETIRE,
    SCRIPT_READ,
    SCRIPT_SCRUB,
    SCRIPT_PUBLISH,
    SCRIPT_CHANNELS,
    SCRIPT_OUTBOX,
    SCRIPT_NOTE,
    SCRIPT_LOOK,
    SCRIPT_LAYOUT,
    SCRIPT_COUNT
};

/* The texts, embedded at build time (presence/redis/scripts/; prelude and shared parts included). */
struct script_text {
    const char *name;
    const char *text; /* NUL-terminated */
    size_t bytes;
};
extern const struct script_text script_texts[SCRIPT_COUNT];
