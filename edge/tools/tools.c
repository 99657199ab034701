#include "edge/tools/tools.h"

#include <string.h>

static const struct tool tools[] = {
    {"reload", "", 0, true, tool_reload},
    {"doctor", "", 0, false, tool_doctor},
    {"verify", "", 0, false, tool_verify},
    {"who", "CHANNEL", 1, false, tool_who},
    {"why", "CHANNEL USER", 2, false, tool_why},
    {"top", "", 0, false, tool_top},
};

const struct tool *tool_find(const char *name)
{
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
        if (strcmp(tools[i].name, name) == 0)
            return &tools[i];
    return NULL;
}
