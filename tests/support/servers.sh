#!/usr/bin/env bash
# Fetches the Redis and the Valkey of Debian 13, to run tests of this release with:
#
#   tests/support/servers.sh FOLDER     as root
#
# Afterwards FOLDER/redis/redis-server and FOLDER/valkey/redis-server are commands that run them with their own libraries. To be
# put before the others in PATH.
set -euo pipefail
folder=$(realpath -m "$1")

root=$folder/trixie
[ -x "$root/usr/bin/valkey-server" ] || {
    rm -rf --one-file-system "$folder"
    mkdir -p "$folder"
    mmdebstrap --mode=root --variant=apt --quiet --include=redis-server,valkey-server trixie "$root" \
        "deb http://deb.debian.org/debian trixie main"
}
loader=$(find "$root/usr" -name 'ld-linux*.so.*' | head -n 1)
for server in redis valkey; do
    mkdir -p "$folder/$server"
    # shellcheck disable=SC2016 # the "$@" is the command's own
    printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' "$loader" "${loader%/*}" "$root/usr/bin/$server-server" \
        >"$folder/$server/redis-server"
    chmod +x "$folder/$server/redis-server"
done
