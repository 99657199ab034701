/* A terminal that shows one picture after the other, and gives back what it showed before. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* False when standard output or standard input is no terminal: nothing has changed then. Otherwise screen_close() must
 * follow; it also does when the process is told to end (SIGINT, SIGTERM, SIGHUP), in place of its end: screen_wait() then
 * says so. */
bool screen_open(void);
void screen_close(void);

/* Shows the lines: as many, and as much of each, as there is room for. */
void screen_show(const char *text, size_t bytes);

/* Waits for so long, or for a key, or until the size has changed. False: it is time to end (q, Ctrl-C, a signal). */
bool screen_wait(int ms);
