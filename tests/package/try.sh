#!/usr/bin/env bash
# Tries the package ROLLCALL_DEB in a fresh Debian of this machine's release:  try.sh TALLY
#
#   - apt installs it there, with what it needs;
#   - every client's test runs against the binary in there, which is watched for system calls that its unit forbids;
#   - that Debian boots, and install.test.mjs looks at what systemd makes of the package, upgrades and purges it.
#
# All of it happens in namespaces of its own (processes, mounts, network), so that whatever goes wrong, nothing is left
# running, mounted or listening, and ports are free. That Debian is made once and kept beside the package as a file.
set -euo pipefail
cd "$(dirname "$0")/../.."

alone() { # command…
    unshare --mount --pid --fork --kill-child --mount-proc "$@"
}

alone_with_loopback() {
    # shellcheck disable=SC2016 # the inner shell's
    alone --net sh -c 'ip link set lo up && exec "$@"' sh "$@"
}

# Of what the package needs nothing is in it: apt has to find that. strace is for the tests.
make_debian() { # release, file
    mmdebstrap --mode=root --variant=minbase --format=tar --include=systemd,systemd-sysv,dbus,strace,ca-certificates \
        "$1" "$2.new" >&2
    mv "$2.new" "$2"
}

# The release before this one is this one under another number.
put_packages() {
    dpkg-deb -R "$ROLLCALL_DEB" "$folder/older"
    sed -i 's/^Version: .*/Version: 0.0.1/' "$folder/older/DEBIAN/control"
    dpkg-deb --root-owner-group -b "$folder/older" "$ROLLCALL_SYSTEM/root/older.deb" >&2
    cp "$ROLLCALL_DEB" "$ROLLCALL_SYSTEM/root/newer.deb"
}

# Nothing runs in it yet, as when an image is made: the package installs all the same, and starts with the system.
install_older() {
    # shellcheck disable=SC2016 # the inner shells'
    alone sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" sh -c "
        apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends /root/older.deb"' \
        "$ROLLCALL_SYSTEM" >&2
}

# The client tests but those that say nothing of the package: run_fleet builds a server of its own, overload counts on the
# memory of a build with sanitizers, and drain on answers within a second, which strace delays.
client_tests() {
    local file
    for file in tests/integration/*.test.mjs; do
        case $file in
        */run_fleet.* | */overload.* | */drain.*) ;;
        *) echo "$file" ;;
        esac
    done
}

# In namespaces: the server that the tests start is the installed one, in its own Debian.
clients() { # tally, log of refused system calls
    local place files
    for place in /tmp "$PWD" /dev /proc; do
        mkdir -p "$ROLLCALL_SYSTEM$place"
        mount --bind "$place" "$ROLLCALL_SYSTEM$place"
    done
    node tests/package/installed_binary.mjs "$ROLLCALL_SYSTEM" "$2" >/dev/null
    mapfile -t files < <(client_tests)
    ROLLCALL_BIN=$2.command node tests/support/run.mjs --tally "$1" "${files[@]}"
}

try() { # tally
    local release fresh refused status=0 passed=0 failed=0 good bad part
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    fresh=$(dirname "$ROLLCALL_DEB")/$release.tar
    [ -s "$fresh" ] || make_debian "$release" "$fresh"
    folder=$(mktemp -d)
    trap 'rm -rf --one-file-system "$folder"' EXIT
    export ROLLCALL_SYSTEM=$folder/system
    mkdir "$ROLLCALL_SYSTEM"
    tar -C "$ROLLCALL_SYSTEM" --numeric-owner -xf "$fresh"
    put_packages
    install_older

    refused=$folder/refused
    : >"$refused"
    alone_with_loopback "$0" clients "$folder/clients" "$refused" || status=1
    if [ -s "$refused" ]; then
        echo "try.sh: the unit would refuse:" >&2
        sort -u -k 2 "$refused" | head -n 50 >&2
        status=1
    fi
    alone_with_loopback node tests/support/run.mjs --tally "$folder/install" tests/package/install.test.mjs || status=1
    # systemd-nspawn leaves the control group that it was in; one that is in use stays.
    find /sys/fs/cgroup/*/payload -depth -type d -exec rmdir {} + 2>/dev/null || true
    for part in clients install; do
        read -r good bad <"$folder/$part" || bad=1
        passed=$((passed + good))
        failed=$((failed + bad))
    done
    echo "$passed $failed" >"$1"
    return $status
}

case $1 in
clients) clients "$2" "$3" ;;
*) try "$1" ;;
esac
