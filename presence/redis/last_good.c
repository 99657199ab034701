#include "presence/redis/last_good.h"

#include "presence/base/new.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct writing {
    uv_work_t work;
    char *path;
    char text[REDIS_ADDRESS_TEXT];
    int error;
    void (*written)(void *context, const char *why);
    void *context;
};

char *last_good_path(const char *folder, const char *cluster, const char *shard)
{
    if (!folder || !folder[0])
        return NULL;
    return new_printed("%s/%s.%s.master", folder, cluster, shard);
}

int last_good_read(const char *path, struct redis_address *address)
{
    char line[REDIS_ADDRESS_TEXT + 2];
    if (!path)
        return -ENOENT;
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    int error = fgets(line, sizeof line, file) ? 0 : -EINVAL;
    fclose(file);
    if (error)
        return error;
    line[strcspn(line, "\n")] = '\0';
    return redis_address_parse(line, address);
}

static int write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return -errno;
    int error = fprintf(file, "%s\n", text) < 0 ? -EIO : 0;
    if (fclose(file) && !error)
        error = -errno;
    return error;
}

/* On a thread of the pool. Edges on one host may share the folder: each writes a file of its own name first. */
static void write_it(uv_work_t *work)
{
    struct writing *writing = work->data;
    char *new_path = new_printed("%s.%ld", writing->path, (long)getpid());
    writing->error = write_file(new_path, writing->text);
    if (!writing->error && rename(new_path, writing->path))
        writing->error = -errno;
    if (writing->error)
        unlink(new_path);
    free(new_path);
}

static void on_written(uv_work_t *work, int status)
{
    struct writing *writing = work->data;
    (void)status; /* it is never cancelled */
    writing->written(writing->context, writing->error ? strerror(-writing->error) : NULL);
    free(writing->path);
    free(writing);
}

void last_good_write(uv_loop_t *loop, const char *path, const struct redis_address *address,
    void (*written)(void *context, const char *why), void *context)
{
    struct writing *writing = new_zeroed(sizeof *writing);
    writing->work.data = writing;
    writing->path = new_text(path);
    redis_address_print(address, writing->text);
    writing->written = written;
    writing->context = context;
    uv_queue_work(loop, &writing->work, write_it, on_written);
}
