/* Events of apps as they pass, kept for those who watch: one ring an app, made when somebody asks and thrown away when
 * nobody has asked for a while. A slow reader misses events and is told how many; nobody waits for him.
 *
 * What a ring takes in a second is bounded, so that a watched app at full speed costs little more than one that is not
 * watched: what is beyond is counted.
 *
 * Pure of input and output; times are arguments. Thread: its owner's. */
#pragma once

#include "edge/base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TAP_EVENTS = 256,
    TAP_TEXT_BYTES = 2048,   /* of an event; longer ones are cut, and say so */
    TAP_PER_SECOND = 500,    /* more than anyone reads */
    TAP_APPS = 16,           /* watched at a time */
    TAP_FORGOTTEN_MS = 60000 /* since somebody asked */
};

enum tap_kind { TAP_EVENT, TAP_MEMBER_ADDED, TAP_MEMBER_REMOVED };

struct taps;

/* Never NULL. */
struct taps *taps_new(void);
void taps_free(struct taps *taps);

/* Whether anybody watches anything: for the hot path. */
bool taps_any(const struct taps *taps);

/* Keeps an event, if the app is watched. text: the message as clients get it; or the id of a member. Copies. Returns
 * whether it did. */
bool taps_add(struct taps *taps, uint64_t now_ms, int64_t wall_ms, const char *app_id, enum tap_kind kind,
    const char *channel, const char *text, size_t text_bytes);

/* Watches the app from now on. False: too many are watched. */
bool taps_watch(struct taps *taps, uint64_t now_ms, const char *app_id);

/* The number of the last event; 0 when there was none, or the app is not watched. */
uint64_t taps_last(const struct taps *taps, const char *app_id);

/* {"next":…,"missed":…,"events":[{"number":…,"time_ms":…,"kind":"event"|"member_added"|"member_removed","channel":…,
 * "text":…,"bytes":…,"cut":bool}…]}: those after that number, oldest first. missed: how many of those are not here,
 * because they came too fast or were forgotten. */
void taps_write(struct taps *taps, const char *app_id, uint64_t after, struct buffer *json);

/* Throws away what nobody has asked for in TAP_FORGOTTEN_MS. */
void taps_sweep(struct taps *taps, uint64_t now_ms);
