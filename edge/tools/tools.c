#include "edge/tools/tools.h"

#include <string.h>

static const struct tool tools[] = {
    {"doctor", "", 0, tool_doctor},
    {"verify", "", 0, tool_verify},
    {"who", "CHANNEL", 1, tool_who},
    {"why", "CHANNEL USER", 2, tool_why},
    {"top", "", 0, tool_top},
};

const struct tool *tool_find(const char *name)
{
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
        if (strcmp(tools[i].name, name) == 0)
            return &tools[i];
    return NULL;
}
