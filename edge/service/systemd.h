/* The two interfaces of systemd that a daemon meets, as sd_listen_fds(3) and sd_notify(3) document them: environment
 * variables and a datagram. libsystemd would bring four compression libraries along for these few lines.
 *
 * Thread: main, for all of this header. Without systemd (the variables are not set) nothing happens.
 */
#pragma once

#include <stdarg.h>
#include <stdint.h>

/* How many sockets were passed on (LISTEN_FDS), from descriptor 3 on; 0 if they are not for this process. Takes the
 * variables out of the environment, so that they are not passed on to children. */
unsigned systemd_listen_fds(void);

enum { SYSTEMD_LISTEN_FDS_START = 3 };

/* Sends lines of VARIABLE=value, such as "READY=1\nSTATUS=…", to the service manager. Lost without a word when it does not
 * listen. */
void systemd_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Around a reload of the configuration. */
void systemd_notify_reloading(void);
void systemd_notify_ready(void);

/* How often the watchdog wants to be told that we are alive, in ms: half of what WATCHDOG_USEC allows. 0: there is none, or
 * it is for another process. Takes WATCHDOG_PID out of the environment: it would not fit our children. */
uint64_t systemd_watchdog_ms(void);
