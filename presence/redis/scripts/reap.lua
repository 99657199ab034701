-- reap: condemns an owner whose lease has run out, then drains its channels. See keys_and_scripts.h.
local FACTS_AT_MOST = 2000 -- about 30 ms; a single channel is never split
local victim, most = ARGV[5], tonumber(ARGV[6])
local leases, record, held = base .. ':l', base .. ':o:' .. victim, base .. ':h:' .. victim

local expiry = tonumber(try('ZSCORE', leases, victim) or nil)
if expiry and expiry >= clock then
    return { 'OK', '-1' }
elseif not expiry and call('EXISTS', record) == 1 then
    call('ZADD', leases, text(clock + L + H), victim)
    return { 'OK', '-1' }
end

-- Told once: to the one who condemns it.
local name = call('EXISTS', record) == 1 and (try('HGET', record, 'e') or '?') or ''
call('DEL', record)
outbox = ARGV[7] == '1'
local looked_at, drained = 0, 0
for _, channel in ipairs(try('SRANDMEMBER', held, most)) do
    local looked, facts = drain(victim, channel, nil, nil, EDGE_LOST)
    looked_at, drained = looked_at + looked, drained + facts
    release(victim, channel)
    if looked_at >= FACTS_AT_MOST then
        break
    end
end
save_version()
local left = call('SCARD', held)
if left == 0 then
    call('ZREM', leases, victim)
end
return { 'OK', text(left), name, text(drained) }
