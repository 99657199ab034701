-- outbox: moves the departures whose wait is over, forgets what was delivered, and says what comes next. See
-- keys_and_scripts.h.
local most, delivered = tonumber(ARGV[5]), ARGV[6]
local due = base .. ':due'

local function is_so(kind, channel, user)
    local users = try('HLEN', base .. ':r:' .. channel)
    if kind == 'member_removed' then
        return try('HEXISTS', base .. ':r:' .. channel, 'u' .. user) == 0
    end
    return users <= 2 and try('HLEN', base .. ':s:' .. channel) == 0
end

local function tell_due(member)
    local kind, bytes, rest = string.match(member, '^(%S+) (%d+) (.*)$')
    if not kind then
        return
    end
    local channel, user = string.sub(rest, 1, tonumber(bytes)), string.sub(rest, tonumber(bytes) + 1)
    if is_so(kind, channel, user) then
        tell(kind, channel, user)
    end
end

for _, member in ipairs(try('ZRANGEBYSCORE', due, '-inf', text(clock), 'LIMIT', 0, most)) do
    tell_due(member)
    call('ZREM', due, member)
end
if delivered ~= '' then
    try('XTRIM', base .. ':out', 'MINID', delivered)
    call('XDEL', base .. ':out', delivered)
end
local answer = { 'OK' }
for _, entry in ipairs(try('XRANGE', base .. ':out', '-', '+', 'COUNT', most)) do
    local f = entry[2]
    for _, value in ipairs({ entry[1], f[2], f[4], f[6], f[8] }) do
        answer[#answer + 1] = value
    end
end
return answer
