/* The last good address of a shard's master, in a file: with it an edge starts when no Sentinel answers. What is
 * read there is a hint like any other. */
#pragma once

#include "presence/redis/address.h"

#include <uv.h>

/* The path of the file of a shard in a folder; to be freed. NULL when folder is NULL or "". */
char *last_good_path(const char *folder, const char *cluster, const char *shard);

/* 0, or a negative errno (no file, or nothing sensible in it). Blocks on the file: for the start. path may be
 * NULL. */
int last_good_read(const char *path, struct redis_address *address);

/* Writes it in a thread of libuv's pool: a new file, then in place of the old one, so a reader sees one or the
 * other. How it went is told on
 * the loop's thread, perhaps after what it was for has gone: `why` is NULL when it went well. */
void last_good_write(uv_loop_t *loop, const char *path, const struct redis_address *address,
    void (*written)(void *context, const char *why), void *context);
