#!/usr/bin/env bash
# Builds this tree with the libraries of another release, and runs the unit tests there:
#
#   tests/support/elsewhere.sh trixie|noble PACKAGE…     as root; the packages are what the build and the tests need
#
# The release is a folder of its own under /tmp, gone afterwards; what is mounted is mounted for this process only.
set -euo pipefail
cd "$(dirname "$0")/../.."

suite=$1
shift
case $suite in
trixie) mirror="deb http://deb.debian.org/debian trixie main" ;;
noble) mirror="deb http://archive.ubuntu.com/ubuntu noble main universe" ;;
*)
    echo "elsewhere: there is trixie (Debian 13) and noble (Ubuntu 24.04)" >&2
    exit 1
    ;;
esac
keys=/usr/share/keyrings/ubuntu-archive-keyring.gpg
if [ "$suite" = noble ] && [ ! -f $keys ]; then
    echo "elsewhere: Ubuntu's packages are signed with keys that are not here: put ubuntu-archive-keyring.gpg into ${keys%/*}" >&2
    exit 1
fi

folder=$(mktemp -d /tmp/rollcall-elsewhere.XXXXXX)
trap 'rm -rf --one-file-system "$folder"' EXIT
packages=$(IFS=,; echo "$*")
mmdebstrap --mode=root --variant=apt --quiet --include="$packages" "$suite" "$folder" "$mirror"
mkdir -p "$folder/root/rollcall"
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    [ ! -f "$file" ] || printf '%s\0' "$file"
done | tar -c --null -T - | tar -x -C "$folder/root/rollcall"

# Optimised, but without LTO: with it the linker of Ubuntu 24.04 refuses fakes that stand in for functions of a library.
# shellcheck disable=SC2016 # $0 is the inner shell's
unshare --mount sh -c '
    mount --make-rprivate /
    mount -t proc proc "$0/proc"
    mount --bind /dev "$0/dev"
    exec chroot "$0" sh -c "
        set -e
        cd /root/rollcall
        cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo --log-level=WARNING
        ninja -C build --quiet
        ctest --test-dir build --no-tests=error -j 2 --output-on-failure"
' "$folder"
