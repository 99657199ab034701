/* The files of a reading: their bytes, their comments, their JSON. */
#include "edge/config/config_table.h"

#include "edge/base/buffer.h"
#include "presence/base/new.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 64 * 1024 };

int config_file_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return fd;
    close(fd);
    return -EINVAL;
}

int config_file_read(int fd, struct buffer *text)
{
    for (;;) {
        buffer_reserve(text, PIECE_BYTES);
        ssize_t got = read(fd, text->bytes + text->length, PIECE_BYTES);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return -errno;
        text->length += got > 0 ? (size_t)got : 0;
        if (text->length > CONFIG_FILE_BYTES_MAX)
            return -EFBIG;
    }
}

char *config_file_resolve(const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    int folder = path[0] == '/' || !slash ? 0 : (int)(slash - file) + 1;
    return new_printed("%.*s%s", folder, file, path);
}

/* Lines whose first characters after white space are // become blank; the others keep their numbers. */
static void blank_comments(char *text, size_t length)
{
    char *end = text + length;
    while (text < end) {
        char *newline = memchr(text, '\n', (size_t)(end - text));
        char *line_end = newline ? newline : end;
        char *c = text;
        while (c < line_end && (*c == ' ' || *c == '\t'))
            c++;
        if (line_end - c >= 2 && c[0] == '/' && c[1] == '/')
            memset(c, ' ', (size_t)(line_end - c));
        text = line_end + 1;
    }
}

size_t config_file_add(struct config_reading *reading, const char *name, const char *text, size_t length)
{
    size_t added = reading->file_count++;
    reading->files = resized(reading->files, reading->file_count, sizeof(reading->files[0]));
    char *blanked = new_copy(text, length);
    blank_comments(blanked, length);
    reading->files[added] = (struct config_file){.name = new_text(name), .text = blanked, .length = length};
    return added;
}

/* jansson ends its words with "near '…'", which may be half a secret: only the name of a key is let through.
 */
static int length_without_quote(const json_error_t *error)
{
    const char *near = strstr(error->text, " near ");
    bool keep = !near || json_error_code(error) == json_error_duplicate_key;
    return keep ? JSON_ERROR_TEXT_LENGTH : (int)(near - error->text);
}

json_t *config_file_parse(struct config_reading *reading, size_t file)
{
    const struct config_file *read = &reading->files[file];
    json_error_t error;
    json_t *root = json_loadb(read->text, read->length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root)
        config_complain_at(reading, file, error.line > 0 ? (unsigned)error.line : 1,
            "column %d: must be JSON: %.*s", error.column > 0 ? error.column : 1,
            length_without_quote(&error), error.text);
    return root;
}

void config_reading_free(struct config_reading *reading)
{
    for (size_t i = 0; i < reading->file_count; i++) {
        struct config_file *file = &reading->files[i];
        explicit_bzero(file->text, file->length);
        free(file->text);
        free(file->name);
    }
    free(reading->files);
    free(reading->app_places);
    free(reading);
}
