/* A quick hash for telling short texts apart; not for tables that strangers fill. Pure; any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* FNV-1a, 32 bit. */
static inline uint32_t hash_text(const char *bytes, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 16777619u;
    return hash;
}
