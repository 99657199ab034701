/* Certificates and keys: reading them, and what is wrong with them. What comes of it are the contexts that a listener
 * hands out, which belong to the configuration, so that a new configuration brings new certificates. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include "edge/base/buffer.h"
#include "edge/tls/server.h"
#include "presence/tls/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A chain of 16 certificates with large RSA keys is 40 KB. */
enum { PEM_BYTES_MAX = 256 * 1024 };

static const struct config_place main_file = {0};
static const struct config_place edge_place = {.parent = &main_file, .key = "edge"};
static const struct config_place list_place = {.parent = &edge_place, .key = "listen"};

/* The places of one certificate: of the object, and of its two files. */
struct certificate_place {
    struct config_place listen_at, tls, certificates, item, certificate, key;
};

static void place(struct certificate_place *at, size_t listen_index, size_t index)
{
    at->listen_at = (struct config_place){.parent = &list_place, .index = listen_index};
    at->tls = (struct config_place){.parent = &at->listen_at, .key = "tls"};
    at->certificates = (struct config_place){.parent = &at->tls, .key = "certificates"};
    at->item = (struct config_place){.parent = &at->certificates, .index = index};
    at->certificate = (struct config_place){.parent = &at->item, .key = "certificate"};
    at->key = (struct config_place){.parent = &at->item, .key = "key"};
}

/* A PEM file, which may be a secret. False after a complaint. */
static bool read_pem(
    struct config_reading *reading, const struct config_place *at, const char *path, struct buffer *pem)
{
    int fd = config_file_open(path);
    int err = fd < 0 ? fd : config_file_read(fd, pem);
    if (fd >= 0)
        close(fd);
    if (err == -EINVAL)
        config_complain(reading, at, "%s is not a regular file", path);
    else if (!err && pem->length > PEM_BYTES_MAX)
        config_complain(reading, at, "%s is no PEM file: it has more than %d bytes", path, PEM_BYTES_MAX);
    else if (err)
        config_complain(reading, at, "%s cannot be read: %s", path, strerror(-err));
    else if (pem->length == 0)
        config_complain(reading, at, "%s is empty", path);
    return !err && pem->length > 0 && pem->length <= PEM_BYTES_MAX;
}

static void forget(struct buffer *pem)
{
    if (pem->bytes)
        explicit_bzero(pem->bytes, pem->capacity);
    buffer_deinit(pem);
}

static void print_day(int64_t seconds, char day[16])
{
    time_t time = (time_t)seconds;
    struct tm parts;
    day[0] = '\0';
    if (gmtime_r(&time, &parts))
        strftime(day, 16, "%Y-%m-%d", &parts);
}

/* What clients will not like, but an operator may be about to mend. */
static void warn(
    struct config_reading *reading, const struct certificate_place *at, const struct tls_server *server)
{
    size_t index = tls_server_count(server) - 1;
    const struct tls_certificate *certificate = tls_server_certificate(server, index);
    int64_t now_s = (int64_t)time(NULL);
    char day[16];
    if (certificate->expires_s <= now_s) {
        print_day(certificate->expires_s, day);
        config_warn(reading, &at->certificate, "%s has expired on %s; clients will refuse it",
            certificate->file, day);
    } else if (certificate->begins_s > now_s) {
        print_day(certificate->begins_s, day);
        config_warn(reading, &at->certificate, "%s is valid from %s on; until then clients will refuse it",
            certificate->file, day);
    }
    if (tls_server_oddity(server, index))
        config_warn(reading, &at->certificate, "%s %s", certificate->file, tls_server_oddity(server, index));
}

static void add(struct config_reading *reading, const struct certificate_place *at,
    const struct config_certificate *files, struct tls_server *server)
{
    const char *config_name = reading->files[0].name;
    char *chain_path = config_file_resolve(config_name, files->certificate);
    char *key_path = config_file_resolve(config_name, files->key);
    struct buffer chain = {0}, key = {0};
    struct tls_problem problem;
    bool both = read_pem(reading, &at->certificate, chain_path, &chain);
    both = read_pem(reading, &at->key, key_path, &key) && both;
    if (both && tls_server_add(server, chain_path, (struct tls_pem){chain.bytes, chain.length},
                    (struct tls_pem){key.bytes, key.length}, &problem) == 0)
        warn(reading, at, server);
    else if (both)
        config_complain(reading, problem.part == TLS_PART_KEY ? &at->key : &at->certificate, "%s %s",
            problem.part == TLS_PART_KEY ? key_path : chain_path, problem.words);
    forget(&chain);
    forget(&key);
    free(chain_path);
    free(key_path);
}

static void check_listener(struct config_reading *reading, struct config *config, size_t listen_index)
{
    struct config_listen *listen_at = &config->edge.listen[listen_index];
    struct certificate_place at;
    if (listen_at->tls.certificate_count == 0)
        return;
    listen_at->tls.server = tls_server_new((enum tls_version)listen_at->tls.min_version);
    for (size_t i = 0; i < listen_at->tls.certificate_count; i++) {
        const struct config_certificate *files = &listen_at->tls.certificates[i];
        place(&at, listen_index, i);
        if (files->certificate[0] && files->key[0]) /* else it was complained of */
            add(reading, &at, files, listen_at->tls.server);
    }
}

/* ---- towards Redis ---- */

/* As read_pem() of a file that may be left out, into memory that a client copies from. */
static bool read_optional(struct config_reading *reading, const struct config_place *at, const char *file,
    struct buffer *pem, char **path)
{
    *path = config_file_resolve(reading->files[0].name, file);
    return !file[0] || read_pem(reading, at, *path, pem);
}

static void check_redis(struct config_reading *reading, struct config *config)
{
    static const struct config_place redis = {.parent = &main_file, .key = "redis"};
    static const struct config_place tls = {.parent = &redis, .key = "tls"};
    static const struct config_place places[] = {
        [TLS_PART_CERTIFICATE] = {.parent = &tls, .key = "certificate"},
        [TLS_PART_KEY] = {.parent = &tls, .key = "key"},
        [TLS_PART_AUTHORITIES] = {.parent = &tls, .key = "ca_file"},
    };
    const char *files[] = {config->redis.tls.certificate, config->redis.tls.key, config->redis.tls.ca_file};
    struct buffer pems[3] = {{0}};
    char *paths[3];
    bool good = !files[TLS_PART_CERTIFICATE][0] == !files[TLS_PART_KEY][0]; /* else it was complained of */
    struct tls_problem problem;
    for (int i = 0; i < 3; i++)
        good = read_optional(reading, &places[i], files[i], &pems[i], &paths[i]) && good;
    const struct tls_client_options options = {
        .authorities = {pems[TLS_PART_AUTHORITIES].bytes, pems[TLS_PART_AUTHORITIES].length},
        .chain = {pems[TLS_PART_CERTIFICATE].bytes, pems[TLS_PART_CERTIFICATE].length},
        .key = {pems[TLS_PART_KEY].bytes, pems[TLS_PART_KEY].length},
        .server_name = config->redis.tls.server_name,
    };
    if (good && !(config->redis.tls.client = tls_client_new(&options, &problem)))
        config_complain(reading, &places[problem.part], "%s %s", paths[problem.part], problem.words);
    for (int i = 0; i < 3; i++) {
        forget(&pems[i]);
        free(paths[i]);
    }
}

void config_check_tls(struct config_reading *reading, struct config *config)
{
    config_release_tls(config);
    if (config->redis.tls.enabled)
        check_redis(reading, config);
    for (size_t i = 0; i < config->edge.listen_count; i++)
        check_listener(reading, config, i);
}

void config_release_tls(struct config *config)
{
    tls_client_unref(config->redis.tls.client);
    config->redis.tls.client = NULL;
    for (size_t i = 0; i < config->edge.listen_count; i++) {
        tls_server_unref(config->edge.listen[i].tls.server);
        config->edge.listen[i].tls.server = NULL;
    }
}
