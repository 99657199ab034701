/* Plays every file of the folders it is given through one fuzz target: what libFuzzer found stays found. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void play_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    static uint8_t bytes[1 << 20];
    size_t length = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    /* A copy of exactly that size, so that a sanitizer sees the first byte read past the end. */
    uint8_t *exact = malloc(length ? length : 1);
    memcpy(exact, bytes, length);
    LLVMFuzzerTestOneInput(exact, length);
    free(exact);
}

static size_t play_folder(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0) {
        perror(folder);
        exit(1);
    }
    size_t played = 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            char path[4096];
            snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
            play_file(path);
            played++;
        }
        free(entries[i]);
    }
    free(entries);
    return played;
}

int main(int argc, char **argv)
{
    size_t played = 0;
    for (int i = 1; i < argc; i++)
        played += play_folder(argv[i]);
    printf("%zu inputs played\n", played);
    return played > 0 ? 0 : 1;
}
