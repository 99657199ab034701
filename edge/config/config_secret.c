/* Secrets: in the file itself, in the environment, or in a file of their own. Nothing here repeats one in a
 * message. */
#include "edge/config/config_table.h"

#include "presence/base/new.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A copy of a secret of the right length, or NULL after a complaint; `source` names where it came from. */
static char *take(struct config_reading *reading, const struct config_key *key,
    const struct config_place *place, const char *source, const char *secret, size_t length)
{
    if (length < key->min || length > key->max) {
        config_complain(reading, place, "must be a text of %ju to %ju bytes, but %s has %zu",
            (uintmax_t)key->min, (uintmax_t)key->max, source, length);
        return NULL;
    }
    char *copy = new_copy(secret, length);
    const char *wrong = key->check ? key->check(copy) : NULL;
    if (!wrong)
        return copy;
    config_complain(reading, place, "%s", wrong);
    explicit_bzero(copy, length);
    free(copy);
    return NULL;
}

static char *from_environment(struct config_reading *reading, const struct config_key *key,
    const struct config_place *place, const char *name)
{
    const char *secret = getenv(name);
    if (secret)
        return take(reading, key, place, name, secret, strlen(secret));
    config_complain(reading, place, "the environment variable %s is not set", name);
    return NULL;
}

/* Reads at most `size` bytes. Returns how many, or a negative errno. */
static ssize_t read_secret_file(const char *path, char *bytes, size_t size)
{
    int fd = config_file_open(path);
    if (fd < 0)
        return fd;
    ssize_t got = read(fd, bytes, size);
    int error = errno;
    close(fd);
    return got < 0 ? -error : got;
}

static size_t length_without_newline(const char *bytes, size_t length)
{
    if (length > 0 && bytes[length - 1] == '\n')
        length--;
    if (length > 0 && bytes[length - 1] == '\r')
        length--;
    return length;
}

static char *from_file(struct config_reading *reading, const struct config_key *key,
    const struct config_place *place, const char *named)
{
    char bytes[4096], *secret = NULL;
    char *path = config_file_resolve(reading->files[config_place_file(place)].name, named);
    ssize_t got = read_secret_file(path, bytes, sizeof(bytes));
    if (got == -EINVAL) {
        config_complain(reading, place, "%s is not a regular file", path);
    } else if (got < 0) {
        config_complain(reading, place, "%s cannot be read: %s", path, strerror((int)-got));
    } else if (memchr(bytes, 0, (size_t)got)) {
        config_complain(reading, place, "%s holds a NUL byte; a secret is text", path);
    } else {
        secret = take(reading, key, place, path, bytes, length_without_newline(bytes, (size_t)got));
    }
    explicit_bzero(bytes, sizeof(bytes));
    free(path);
    return secret;
}

static void complain_of_form(
    struct config_reading *reading, const struct config_key *key, const struct config_place *place)
{
    config_complain(reading, place,
        "must be a text of %ju to %ju bytes, {\"env\": \"NAME\"} or {\"file\": \"path\"}",
        (uintmax_t)key->min, (uintmax_t)key->max);
}

char *config_secret_read(struct config_reading *reading, const struct config_key *key, json_t *value,
    const struct config_place *place)
{
    if (json_is_string(value))
        return take(reading, key, place, "it", json_string_value(value), json_string_length(value));
    const char *env = json_string_value(json_object_get(value, "env"));
    const char *file = json_string_value(json_object_get(value, "file"));
    const char *source = env ? env : file;
    if (json_object_size(value) != 1 || !source || !source[0] || strlen(source) >= 4096) {
        complain_of_form(reading, key, place);
        return NULL;
    }
    struct config_place inner = {.parent = place, .key = env ? "env" : "file"};
    return env ? from_environment(reading, key, &inner, env) : from_file(reading, key, &inner, file);
}
