-- outbox: the transitions of this partition, for the one edge that delivers them. Moves the departures whose
-- wait is over, forgets what was delivered, and says what comes next. See keys_and_scripts.h.
local most, delivered, claims, last = tonumber(ARGV[5]), ARGV[6], ARGV[7] == '1', ARGV[8]
local due, out = base .. ':due', base .. ':out'

-- One edge at a time, until it is gone or has not asked for L of the lease clock.
-- In a copy that the fleet has left nobody has a record, and the lease clock stands.
local function is_anothers()
    local who, at = moved and ARGV[4] or me, moved and now or clock
    local holder = call('HMGET', base, 'dl', 'de')
    local is_held = holder[1] and holder[1] ~= who and at <= (tonumber(holder[2]) or 0)
    if is_held and (moved or call('EXISTS', base .. ':o:' .. holder[1]) == 1) then
        return true
    end
    call('HSET', base, 'dl', who, 'de', text(at + L))
    return false
end

local function is_drained()
    return moved and #try('XRANGE', out, '-', '+', 'COUNT', 1) == 0 and try('ZCOUNT', due, '-inf', '+inf') == 0
end

local function renew_copy()
    for _, key in ipairs({ base, out, due }) do
        expire(key, D)
    end
end

local function is_so(kind, channel, user)
    local users = try('HLEN', base .. ':r:' .. channel)
    if kind == 'member_removed' then
        return try('HEXISTS', base .. ':r:' .. channel, 'u' .. user) == 0
    end
    return users <= 2 and try('HLEN', base .. ':s:' .. channel) == 0
end

local function tell_due(member, score)
    local kind, bytes, rest = string.match(member, '^(%S+) (%d+) (.*)$')
    if not kind or kind == 'absent' or kind == 'counting' then
        return
    end
    local channel, user = string.sub(rest, 1, tonumber(bytes)), string.sub(rest, tonumber(bytes) + 1)
    if kind == 'counted' then
        local total = text(sum(base .. ':s:' .. channel))
        if total ~= user then
            woken = true
            tell('subscription_count', channel, '', '0', total)
        end
        return
    end
    if is_so(kind, channel, user) then
        woken = true -- who asks is told anyhow
        tell(kind, channel, user, text((tonumber(score) or 0) % 10))
    end
end

local function move_due()
    local now_due = try('ZRANGEBYSCORE', due, '-inf', moved and '+inf' or text(clock), 'WITHSCORES', 'LIMIT', 0, most)
    for i = 1, #now_due, 2 do
        tell_due(now_due[i], now_due[i + 1])
        call('ZREM', due, now_due[i])
    end
end

-- The first id behind those that were told already.
local function first()
    local ms, number = string.match(last or '', '^(%d+)-(%d+)$')
    return ms and ms .. '-' .. text(tonumber(number) + 1) or '-'
end

-- Of several numbers of one channel only the last is told.
local function read()
    local entries = try('XRANGE', out, first(), '+', 'COUNT', most)
    local last_count, answer = {}, { 'OK' }
    for i, entry in ipairs(entries) do
        local f = entry[2]
        if f[2] == 'subscription_count' then
            last_count[f[4] or ''] = i
        end
    end
    for i, entry in ipairs(entries) do
        local f = entry[2]
        if not f[14] then
            call('XDEL', out, entry[1]) -- not one of ours
        elseif f[2] ~= 'subscription_count' or last_count[f[4]] == i then
            answer[#answer + 1] = entry[1]
            answer[#answer + 1] = f[2]
            answer[#answer + 1] = f[4]
            answer[#answer + 1] = f[6]
            answer[#answer + 1] = f[8] .. ' ' .. f[10] .. ' ' .. f[12] .. ' ' .. f[14]
        end
    end
    return answer
end

-- Who claims learns when everything was told and is done with: now, or 0. A copy that was left has nothing to do with that.
local function answer_with(words)
    if claims and not moved then
        local is_settled = #try('XRANGE', out, '-', '+', 'COUNT', 1) == 0
            and #try('ZRANGEBYSCORE', due, '-inf', text(clock), 'LIMIT', 0, 1) == 0
            and call('HEXISTS', base, 'fr') == 0
        words[#words + 1] = text(clock)
        words[#words + 1] = is_settled and text(clock) or '0'
    end
    return words
end

if is_drained() then
    return { 'OK' }
elseif claims and is_anothers() then
    return answer_with({ 'OK', '-' })
end
if ARGV[9] == '1' then
    call('HDEL', base, 'fr')
end
if delivered ~= '' then
    try('XTRIM', out, 'MINID', delivered)
    call('XDEL', out, delivered)
end
if most > 0 then
    move_due()
end
if moved then
    renew_copy()
end
return answer_with(most > 0 and read() or { 'OK' })
