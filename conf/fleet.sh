#!/usr/bin/env bash
# A whole fleet on this machine, for someone who wants to see one: three edges, their Redis, HAProxy in front. It is made
# of the files beside this one; only addresses, ports and passwords are put into them. `./dev run fleet` builds the
# server and calls this.
#
#   conf/fleet.sh ROLLCALL [--sentinel] [--host 127.0.0.1]
#
# --sentinel: each shard has two replicas, and three Sentinels watch over them. Without it a shard is one server.
# --host: everything listens on this loopback address, always on the same ports. Ctrl-C ends all of it, by process id, and
# nothing is left: logs and configurations are in a folder that goes away.
set -euo pipefail
conf=$(cd "$(dirname "$0")" && pwd)

die() {
    printf 'fleet: %s\n' "$*" >&2
    exit 1
}

rollcall='' host=127.0.0.1 sentinel=''
while [ $# -gt 0 ]; do
    case $1 in
    --sentinel) sentinel=yes ;;
    --host)
        [ $# -gt 1 ] || die "--host wants an address"
        host=$2
        shift
        ;;
    -*) die "there is no option $1; there are --sentinel and --host" ;;
    *) rollcall=$(realpath "$1") ;;
    esac
    shift
done
[ -x "$rollcall" ] || die "usage: conf/fleet.sh ROLLCALL [--sentinel] [--host 127.0.0.1]"
[[ $host =~ ^127\.[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "--host must be of 127.0.0.0/8: the passwords in conf/ are known to everyone"

edges=(1 2 3)
shards=(1 2)
replicas=()
settings=$conf/fleet.json
if [ -n "$sentinel" ]; then
    replicas=(b c)
    settings=$conf/fleet-sentinel.json
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/rollcall-fleet-XXXXXX")
names=() # of what was started, and
pids=()  # their process ids

# ---- Starting and stopping ---------------------------------------------------------------------------------------

# start NAME COMMAND…, with a log of its own. In a session of its own, too, so that Ctrl-C reaches only us, who know the order.
start() {
    local name=$1
    shift
    setsid "$@" >"$folder/$name.log" 2>&1 </dev/null &
    names+=("$name")
    pids+=($!)
}

signal_all() {
    local pid
    for pid in "${pids[@]}"; do
        kill "-$1" "$pid" 2>/dev/null || true
    done
}

are_running() {
    local pid
    for pid in "${pids[@]}"; do
        if kill -0 "$pid" 2>/dev/null; then return 0; fi
    done
    return 1
}

# What is put in front of what it needs ends first: HAProxy was started last.
stop() {
    local i
    trap '' INT TERM HUP
    trap - EXIT
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        kill "${pids[i]}" 2>/dev/null || true
        if [[ ${names[i]} == edge-1 ]]; then sleep 0.2; fi # the edges say goodbye to Redis
    done
    for ((i = 0; i < 100; i++)); do
        are_running || break
        sleep 0.1
    done
    signal_all KILL
    wait
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- Redis and Sentinel ------------------------------------------------------------------------------------------

# The three servers of shard N listen on 638N, 639N and 640N. A shard of one server must not wait for replicas.
start_shard() {
    local n=$1 which port=638$1
    local common=(--bind "$host" --replica-announce-ip "$host") alone=()
    [ -n "$sentinel" ] || alone=(--min-replicas-to-write 0)
    mkdir "$folder/shard-$n"{a,b,c}
    start "redis-$n" redis-server "$conf/redis/shard-$n.conf" --port "$port" --dir "$folder/shard-${n}a" \
        "${common[@]}" "${alone[@]}"
    for which in "${replicas[@]}"; do
        start "redis-$n$which" redis-server "$conf/redis/shard-$n.conf" --dir "$folder/shard-$n$which" "${common[@]}" \
            --port "$([ "$which" = b ] && echo "639$n" || echo "640$n")" --replicaof "$host" "$port"
    done
}

start_sentinel() {
    local dir=$folder/sentinel-$1
    mkdir "$dir"
    sed -e "s/127\.0\.0\.1/$host/; s|^dir .*|dir $dir|; s/^port .*/port $((26378 + $1))/" \
        -e "\$a sentinel announce-ip $host" "$conf/redis/sentinel.conf" >"$dir/sentinel.conf"
    start "sentinel-$1" redis-server "$dir/sentinel.conf" --sentinel
}

# ---- Edges and HAProxy -------------------------------------------------------------------------------------------

# Edge N listens on 601N for HAProxy and on 961N for its console and metrics. It leaves sooner than in production.
start_edge() {
    local admin="\"token\": \"console-token\", \"allow_changes\": true, \"peers\": [\"$host:9611\", \"$host:9612\", \"$host:9613\"]"
    sed -e "s/127\.0\.0\.1/$host/g; s/\"port\": 6001/\"port\": 601$1/; s/\"port\": 9601/\"port\": 961$1, $admin/" \
        -e "s|// *\"name\": \"edge-1\"|\"name\": \"edge-$1\"|; s|// *\"state_dir\": .*|\"state_dir\": \"$folder\",|" \
        -e 's/"\(drain_ms\|balancer_wait_ms\)": [0-9]*/"\1": 1000/' \
        -e 's/{ "env": "ROLLCALL_SHARD_\([12]\)_PASSWORD" }/"demo-edge-\1"/' \
        -e 's/{ "env": "ROLLCALL_SENTINEL_PASSWORD" }/"demo-edge"/; s/{ "env": "ROLLCALL_APP_SECRET" }/"app-secret"/' \
        "$settings" >"$folder/edge-$1.json"
    "$rollcall" --config "$folder/edge-$1.json" --check >&2 || die "$settings does not fit conf/fleet.sh: see above"
    start "edge-$1" "$rollcall" --config "$folder/edge-$1.json"
}

# What clients use, without TLS.
start_haproxy() {
    sed -e '/^ *bind :443 /d; /redirect scheme https/d' -e "s/^\( *bind\) :80\$/\1 $host:6001/" \
        -e "s/10\.0\.0\.1\([123]\):6001/$host:601\1/" "$conf/haproxy.cfg" >"$folder/haproxy.cfg"
    haproxy -c -q -f "$folder/haproxy.cfg" >&2 || die "conf/haproxy.cfg does not fit conf/fleet.sh: see above"
    start haproxy haproxy -db -f "$folder/haproxy.cfg"
}

# ---- All of it ---------------------------------------------------------------------------------------------------

for n in "${shards[@]}"; do start_shard "$n"; done
if [ -n "$sentinel" ]; then
    for n in 1 2 3; do start_sentinel "$n"; done
fi
for n in "${edges[@]}"; do start_edge "$n"; done
start_haproxy

get() { # port path
    exec 3<>"/dev/tcp/$host/$1" || return 1
    printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$2" "$host" >&3
    cat <&3
    exec 3>&-
}

# HAProxy has an edge that takes clients.
is_served() {
    [[ $(get 6001 /readyz) == *" 200 "* ]]
}

# Each edge may write to each partition (a master without its replicas refuses); until then its clients see only each other.
are_connected() {
    local n metrics
    for n in "${edges[@]}"; do
        metrics=$(get "961$n" /metrics) || return 1
        grep -q '^rollcall_presence_partition_ready{.*} 1' <<<"$metrics" || return 1
        ! grep -q '^rollcall_presence_partition_ready{.*} 0' <<<"$metrics" || return 1
    done
}

# Ready when the doctor finds nothing wrong with Redis, too.
is_ready() {
    "$rollcall" doctor --config "$folder/edge-1.json" >"$folder/doctor" && { is_served && are_connected; } 2>/dev/null
}

for ((i = 0; i < 300; i++)); do
    for ((k = 0; k < ${#pids[@]}; k++)); do
        kill -0 "${pids[k]}" 2>/dev/null || {
            tail -n 5 "$folder/${names[k]}.log" >&2
            die "${names[k]} ended at once: see above. Is something else listening on $host?"
        }
    done
    if is_ready; then break; fi
    sleep 0.2
done
[ $i -lt 300 ] || {
    cat "$folder/doctor" >&2
    die "the fleet is not ready after a minute"
}

where_to_look() {
    cat <<TEXT

  A fleet of three edges, $([ -n "$sentinel" ] && echo "two shards of Redis under Sentinel" || echo "two shards of Redis"), behind HAProxy
  (app app-id, key app-key, secret app-secret; public, so on this machine only)

    who is here    http://$host:6001/       a live page; open it in a few tabs: HAProxy spreads them over the edges
    clients        ws://$host:6001/app/app-key
    back ends      http://$host:6001/apps/app-id/…
    the console    http://$host:9611/#token=console-token, and that of the other edges on 9612 and 9613
    who is where   $rollcall who presence-lobby --config $folder/edge-1.json, and why, and top
    an edge each   http://$host:9611/metrics, :9612, :9613
    what is wrong  $rollcall doctor --config $folder/edge-1.json
    differences    $rollcall verify --config $folder/edge-1.json
    Redis          redis-cli -h $host -p 6381 --user admin --pass demo-admin

    Do harm and watch the page (kill -9 PID, kill -STOP PID, FLUSHALL):

$(for ((i = 0; i < ${#pids[@]}; i++)); do printf '      %-12s PID %-8s %s\n' "${names[i]}" "${pids[i]}" "$folder/${names[i]}.log"; done)

    Ctrl-C ends all of it and removes $folder

TEXT
}
where_to_look

# Who dies is named, and the others go on: that is what there is to see.
while are_running; do
    ended='' code=0
    wait -n -p ended || code=$?
    for ((i = 0; i < ${#pids[@]}; i++)); do
        if [ "${pids[i]}" = "$ended" ]; then printf 'fleet: %s has ended with %s\n' "${names[i]}" $code; fi
    done
done
