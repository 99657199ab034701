/* Networks: an address and how many of its first bits count. */
#include "edge/config/config.h"
#include "edge/config/config_table.h"

#include "presence/base/new.h"

#include <arpa/inet.h>
#include <string.h>

/* "0" to "128", or -1. */
static int bits_of(const char *text)
{
    int bits = 0;
    size_t length = strlen(text);
    if (length == 0 || length > 3 || (text[0] == '0' && length > 1))
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        bits = bits * 10 + (*text - '0');
    }
    return bits;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

/* A bit beyond those that count is a slip: 10.1.0.0/8 was meant as something else. */
static bool ends_with_zeros(const struct config_network *network, unsigned all)
{
    for (unsigned bit = network->bits; bit < all; bit++)
        if (network->bytes[bit / 8] & 0x80 >> bit % 8)
            return false;
    return true;
}

bool config_network_read(const char *text, struct config_network *network)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : strlen(text);
    *network = (struct config_network){.family = AF_UNIX};
    if (strcmp(text, "unix") == 0)
        return true;
    if (length >= sizeof(address))
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    unsigned all = 0;
    if (inet_pton(AF_INET, address, network->bytes) == 1) {
        network->family = AF_INET;
        all = 32;
    } else if (inet_pton(AF_INET6, address, network->bytes) == 1) {
        network->family = AF_INET6;
        all = 128;
    }
    int bits = slash ? bits_of(slash + 1) : (int)all;
    if (all == 0 || bits < 0 || bits > (int)all)
        return false;
    network->bits = (uint8_t)bits;
    return ends_with_zeros(network, all);
}

bool config_network_has(const struct config_network *network, int family, const unsigned char *bytes)
{
    return network->family == family && same_bits(network->bytes, bytes, network->bits);
}

const char *config_check_network(const char *value)
{
    struct config_network network;
    return config_network_read(value, &network) ? NULL
                                                : "must be an address or a network, like 10.0.0.0/8 or "
                                                  "2001:db8::/32, with nothing but zeros behind "
                                                  "the bits that count; or unix";
}

void config_complete_networks(struct config *config)
{
    size_t count = config->edge.trusted_proxy_count;
    config->edge.trusted_networks = new_array(count ? count : 1, sizeof(*config->edge.trusted_networks));
    for (size_t i = 0; i < count; i++)
        config_network_read(config->edge.trusted_proxies[i], &config->edge.trusted_networks[i]);
}
