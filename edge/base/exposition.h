/* Prometheus' text format, version 0.0.4: for each name one HELP, one TYPE, then all samples. Any thread. */
#pragma once

#include "edge/base/buffer.h"
#include "presence/latency.h"

/* type: counter, gauge or histogram. */
void exposition_begin(struct buffer *out, const char *name, const char *type, const char *help);

/* The samples of one histogram, in seconds. labels: what stands before `le`, as worker="0", escaped; never "". */
void exposition_histogram(
    struct buffer *out, const char *name, const char *labels, const struct latency *latency);
