-- hello: proves that this dataset is the one meant, puts right what is missing, opens a new timeline where data
-- may have been lost, and gives out owner numbers. See keys_and_scripts.h.
local shard_key = KEYS[2]
local cluster, shard, layout, settings, partition = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local may_stamp, random = ARGV[6] == '1', ARGV[7]
local H, L, D, S = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])
local from = ARGV[16] or '' -- "layout-version shard" of the copy that was left for this one
local id = table.concat({ cluster, shard, layout, settings }, '\n')
local leases, due = base .. ':l', base .. ':due'

local function hash(key, ...)
    local answer = redis.pcall('HMGET', key, ...)
    return not answer.err and answer or {}
end

-- The partition's stamp, or nil when it is missing or damaged; names are there even when the rest is damaged.
local names = {}
local function read_partition()
    local s = hash(base, 'id', 't', 'st', 'c', 'm', 'hb', 'v', 'o', 'to')
    names.to = s[9]
    if s[1] then
        names.cluster, names.shard, names.layout, names.settings =
            string.match(s[1], '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)$')
    end
    local stamp = {
        t = s[2], st = s[3], c = tonumber(s[4] or nil), m = tonumber(s[5] or nil), hb = tonumber(s[6] or nil),
        v = tonumber(s[7] or nil), o = tonumber(s[8] or nil),
    }
    local whole = names.cluster and number_of(stamp.t) and stamp.st and stamp.c and stamp.m and stamp.hb
        and stamp.v and stamp.o
    return whole and stamp or nil
end

local function is_foreign(a_cluster, a_shard)
    return a_cluster and (a_cluster ~= cluster or a_shard ~= shard)
end

-- Whether nothing is here but, perhaps, what is left of our own two stamps.
local function is_empty()
    return call('DBSIZE') == call('EXISTS', shard_key) + call('EXISTS', base)
end

local function new_shard_timeline(old, replid)
    return stamp_shard(shard_key, cluster, shard, old, replid, random)
end

-- The fleet has left: the shard's stamp says so, or this copy, if that was lost.
local function other_layout()
    for _, entry in ipairs({ hash(shard_key, 'l' .. partition)[1] or '', names.to or '' }) do
        local v, lives_on = version_and_shard(entry)
        if v > tonumber(layout) then
            return { 'NEWLAYOUT', text(v), lives_on }
        end
    end
end

-- Returns the shard's timeline, or nil and an answer that refuses.
local function shard_timeline()
    local s = hash(shard_key, 'c', 'n', 'r', 't')
    local replid = replication_id()
    if is_foreign(s[1], s[2]) then
        return nil, { 'WRONGSHARD', s[1], s[2] or '' }
    elseif is_foreign(names.cluster, names.shard) then
        return nil, { 'WRONGSHARD', names.cluster, names.shard }
    elseif s[1] and number_of(s[4]) then
        return s[3] == replid and s[4] or new_shard_timeline(s[4], replid)
    elseif s[1] and s[2] then -- ours, and damaged
        return new_shard_timeline(s[4], replid)
    elseif not names.cluster and not is_empty() then
        return nil, { 'FOREIGN' }
    elseif not names.cluster and not may_stamp then
        return nil, { 'UNSURE' }
    end
    call('DEL', shard_key)
    return new_shard_timeline(nil, replid)
end

-- Everything that waits, waits on: whoever was alive has a full lease, departures wait for those who may say
-- otherwise. Of a clock that was lost nothing is known, so its scores mean nothing.
local function lift(clock, is_new)
    local least = math.ceil((clock + L + H) / 10) * 10
    for _, key in ipairs({ leases, due }) do
        local low = try('ZRANGEBYSCORE', key, '-inf', is_new and '+inf' or '(' .. text(least), 'WITHSCORES')
        for i = 1, #low, 2 do
            -- the last digit of what is due is its reason
            local digit = key == due and (tonumber(low[i + 1]) or 0) % 10 or 0
            call('ZADD', key, text(least + digit), low[i])
        end
    end
end

local went_back = 0

-- Greater than the partition's own and not below the shard's; random, because two rollbacks to one state must
-- not get the same.
local function open_timeline(stamp, followed)
    local is_new = not stamp.t
    local least = math.max((number_of(stamp.t) or 0) + 1, number_of(followed), now)
    stamp.t, stamp.st, stamp.m = text(least) .. '-' .. random, followed, stamp.c
    -- The heir's clock may be behind: then the lease clock goes on from now, not from the first heartbeat.
    went_back = math.min(now - stamp.hb, 0)
    call('HSET', base, 't', stamp.t, 'st', followed, 'm', text(stamp.m), 'hb', text(stamp.hb + went_back))
    lift(stamp.c, is_new)
end

-- Another configuration is refused while somebody lives by the present one.
local function may_change_settings(stamp)
    return now - stamp.hb > 2 * L or try('ZCOUNT', leases, text(stamp.c), '+inf') == 0
end

local stamp = read_partition()
local followed, refused = shard_timeline()
refused = refused or other_layout()
if refused then
    return refused
end
if stamp and names.settings ~= settings and not may_change_settings(stamp) then
    return { 'SETTINGS', names.settings }
elseif not stamp then
    call('DEL', base)
    stamp = { c = now, m = now, hb = now, v = now, o = now }
    call('HSET', base, 'c', text(now), 'hb', text(now), 'v', text(now), 'o', text(now), 'b', text(now))
    if from ~= '' then
        call('HSET', base, 'fr', from)
    end
end
call('HSET', base, 'id', id, 'h', text(H), 'l', text(L), 'd', text(D), 's', text(S))
call('HSET', shard_key, 'l' .. partition, layout .. ' ' .. shard, 's', settings, 'hb', text(now))
if stamp.st ~= followed then
    open_timeline(stamp, followed)
end

local owner, record = ARGV[8], nil
local kept = '1'
if owner ~= '0' then
    record = try('HMGET', base .. ':o:' .. owner, 'i', 's')
    limit(base .. ':h:' .. owner, D) -- nobody else may know of it, when the record is lost
end
if not record or record[1] ~= ARGV[9] or not tonumber(record[2]) then
    kept = '0'
    stamp.o = math.max(stamp.o + 1, now)
    owner = text(stamp.o)
    record = { ARGV[10], '0' }
    call('HSET', base, 'o', owner)
    call('HSET', base .. ':o:' .. owner, 'i', ARGV[10], 's', '0', 'e', ARGV[11])
    expire(base .. ':o:' .. owner, D)
else
    call('HDEL', base .. ':o:' .. owner, 'w', 'b') -- his next heartbeat says it again
end
try('ZADD', leases, text(stamp.c + L + H), owner) -- whoever says hello lives
return { 'OK', stamp.t, text(stamp.c), text(stamp.m), owner, record[2], text(stamp.v), text(now), replication_id(), kept,
    try('HGET', base, 'fr') or '', text(went_back) }
