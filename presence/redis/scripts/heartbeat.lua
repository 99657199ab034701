-- heartbeat: moves the lease clock, renews the lease, says whose has run out. See keys_and_scripts.h.
local EXPIRED_AT_MOST = 20 -- the rest with the next heartbeat

-- The partition follows the shard's timeline: without one, or with another, or if it is not known of which replication, hello
-- has to sort it out.
local shard = redis.pcall('HMGET', KEYS[2], 't', 'r')
if shard.err or shard[1] ~= shard_timeline or not shard[2] then
    return { 'NOSTAMP' }
end

-- It stands still while nobody heartbeats: an outage or a stepped clock cannot expire the living.
clock = clock + math.min(math.max(now - beat_at, 0), math.floor(1.1 * H))
call('HSET', base, 'c', text(clock), 'hb', text(now))
call('HSET', KEYS[2], 'hb', text(now), 's', (select(4, names_of(ARGV[1]))))
try('ZADD', base .. ':l', text(clock + L + H), me)
renew(base .. ':o:' .. me)
renew(base .. ':h:' .. me)
call('PUBLISH', ARGV[5], '1b')

local answer = { 'OK', text(sequence), text(clock), text(mark), text(try('SCARD', base .. ':h:' .. me)), text(now) }
exchange_usage(6, #ARGV, answer)
for _, owner in ipairs(call('ZRANGEBYSCORE', base .. ':l', '-inf', '(' .. text(clock), 'LIMIT', 0, EXPIRED_AT_MOST)) do
    answer[#answer + 1] = owner
end
if #try('ZRANGEBYSCORE', base .. ':due', '-inf', text(clock), 'LIMIT', 0, 1) > 0 then
    call('PUBLISH', base .. ':w', '1') -- now that the clock has moved, somebody's departure is to be told
end
return answer
