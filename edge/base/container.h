/* From a pointer to an embedded struct to the struct around it. */
#pragma once

#include <stddef.h>

#define CONTAINER_OF(pointer, type, field) ((type *)((char *)(pointer)-offsetof(type, field)))
