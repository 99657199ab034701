-- heartbeat: moves the lease clock, renews the lease, says whose has run out. See keys_and_scripts.h.
local EXPIRED_AT_MOST = 20 -- the rest with the next heartbeat
local beat_topic, wanted = ARGV[5], ARGV[6]
local partition = string.match(base, '{(%d+)}')
local _, here, layout = names_of(ARGV[1])

-- The partition follows the shard's timeline: without one, or with another, or if it is not known of which replication, hello
-- has to sort it out.
local shard = redis.pcall('HMGET', KEYS[2], 't', 'r', 'l' .. partition)
if shard.err or shard[1] ~= shard_timeline or not shard[2] then
    return { 'NOSTAMP' }
end
-- The fleet has left, and this copy does not know: it was rolled back.
local version_now, lives_on = version_and_shard(shard[3])
if version_now > tonumber(layout) then
    return { 'NEWLAYOUT', text(version_now), lives_on }
end

-- It stands still while nobody heartbeats: an outage or a stepped clock cannot expire the living.
local advance = math.min(math.max(now - beat_at, 0), math.floor(1.1 * H))
local stood_still = now - beat_at - advance -- negative: the server's clock went back
clock = clock + advance
call('HSET', base, 'c', text(clock), 'hb', text(now))
try('ZADD', base .. ':l', text(clock + L + H), me)
if renew(base .. ':o:' .. me) then -- which is no younger than the other
    expire(base .. ':h:' .. me, D)
end
call('PUBLISH', beat_topic, '1b')

-- The partition moves when everybody's configuration has it on the same other shard: everybody has just said so, and nobody
-- is without a record, as who retires or is being reaped. On a new timeline not all who live may have come back yet.
local function all_want()
    if clock < mark + L + H then
        return nil
    end
    local all, just_now = try('ZRANGEBYSCORE', base .. ':l', '-inf', '+inf', 'WITHSCORES'), clock - 1.5 * H
    for i = 1, #all, 2 do
        if tonumber(all[i + 1]) - L - H < just_now or try('HGET', base .. ':o:' .. all[i], 'w') ~= wanted then
            return nil
        end
    end
    return all
end

local function move(owners)
    local entry = text(tonumber(layout) + 1) .. ' ' .. wanted
    call('HSET', KEYS[2], 'l' .. partition, entry)
    leave_copy(base, entry)
    for i = 1, #owners, 2 do
        local topic = call('HGET', base .. ':o:' .. owners[i], 'b')
        if topic then
            call('PUBLISH', topic, '1m ' .. partition .. ' ' .. entry)
        end
    end
    return entry
end

-- Says what my configuration wants; returns where the partition lives from now on, if that has changed.
local function choose()
    local record = base .. ':o:' .. me
    if wanted == here then
        if wish then
            call('HDEL', record, 'w', 'b')
        end
        return ''
    end
    call('HSET', record, 'w', wanted, 'b', beat_topic)
    local owners = all_want()
    return owners and move(owners) or ''
end

local answer = { 'OK', text(sequence), text(clock), text(mark), text(try('SCARD', base .. ':h:' .. me)), text(now),
    choose(), text(stood_still) }
exchange_usage(7, #ARGV, answer)
for _, owner in ipairs(call('ZRANGEBYSCORE', base .. ':l', '-inf', '(' .. text(clock), 'LIMIT', 0, EXPIRED_AT_MOST)) do
    if string.match(owner, '^[1-9]%d*$') and #owner <= 16 then
        answer[#answer + 1] = owner
    else -- junk, that nobody could reap: it would stand before those who can be
        call('ZREM', base .. ':l', owner)
    end
end
if #try('ZRANGEBYSCORE', base .. ':due', '-inf', text(clock), 'LIMIT', 0, 1) > 0 then
    call('PUBLISH', base .. ':w', '1') -- now that the clock has moved, somebody's departure is to be told
end
return answer
