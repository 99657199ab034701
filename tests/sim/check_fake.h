/* Between check_fake.c, which compares two servers, and check_draw.c, which draws what to ask them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    WORDS_MAX = 24,
    TEXT_BYTES = 8192,
};

/* A command. */
struct line {
    size_t count;
    char words[WORDS_MAX][TEXT_BYTES];
};

/* Splits at single spaces. */
void say(struct line *line, const char *text);

void draw_seed(uint64_t seed);
uint64_t draw(uint64_t below);
/* future_ms: a time some minutes from now. */
void draw_command(struct line *line, int64_t future_ms);
/* An EVAL of a random small script. */
void draw_script(struct line *line, int64_t future_ms);
