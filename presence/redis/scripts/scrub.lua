-- scrub: compares what an owner believes with what is here, renews TTLs, and removes what nobody owns. See
-- keys_and_scripts.h.
local READ, ASSERT = 1, 2

-- An owner is one as long as it has a record or a lease; a record without a lease gets one, so that it can run
-- out.
local judged = {}
local function exists(owner)
    if judged[owner] == nil then
        local lease = try('ZSCORE', base .. ':l', owner)
        local record = call('EXISTS', base .. ':o:' .. owner) == 1
        if record and not lease then
            call('ZADD', base .. ':l', text(clock + L + H), owner)
        end
        judged[owner] = record or lease ~= false
    end
    return judged[owner]
end

-- Once a period, whoever comes first looks at all of a key, and the TTL says when that was.
local function is_due(key)
    local left = call('PTTL', key)
    return left ~= -2 and D - left * 1000 >= S * 0.8
end

-- The owners of one user: those that exist keep the channel in `held`, the others are taken out.
local function check_user(channel, key, field, value)
    local owners, info = split(value)
    local good, bad = {}, false
    for owner in string.gmatch(owners, '[^,]+') do
        if exists(owner) then
            good[#good + 1] = owner
            hold(owner, channel)
        else
            bad = true
        end
    end
    if #good == 0 then
        local had = call('HMGET', key, 'v', 'b')
        remove_user('0', channel, key, string.sub(field, 2), tonumber(had[1]), tonumber(had[2]), EDGE_LOST)
    elseif bad then
        call('HSET', key, field, table.concat(good, ',') .. '|' .. info)
    end
end

local function check_roster(channel, key)
    local fields = call('HGETALL', key)
    local users = 0
    for i = 1, #fields, 2 do
        if string.sub(fields[i], 1, 1) == 'u' then
            users = users + 1
            check_user(channel, key, fields[i], fields[i + 1])
        elseif fields[i] ~= 'v' and fields[i] ~= 'b' then
            call('HDEL', key, fields[i])
        end
    end
    if users > 0 and call('HLEN', key) > 2 then
        expire(key, D)
        index(channel)
    end
end

local function check_numbers(channel, key, told)
    local fields = call('HGETALL', key)
    for i = 1, #fields, 2 do
        if not exists(fields[i]) or not tonumber(fields[i + 1]) then
            count(fields[i], channel, '0', told, EDGE_LOST)
        else
            hold(fields[i], channel)
        end
    end
    if call('EXISTS', key) == 1 then
        expire(key, D)
        if told then
            index(channel)
        end
    end
end

local function renew_index(channel)
    local app, name = app_and_name(channel)
    local key = base .. ':c:' .. app
    local left = call('PTTL', key)
    if left > -2 and left * 1000 < D / 2 then
        expire(key, D)
    end
end

local function compare_users(channel, key, at, users)
    local missing = false
    for i = at, at + users - 1 do
        local value = call('HGET', key, 'u' .. ARGV[i])
        missing = missing or not value or not names((split(value)), me)
    end
    return missing and ASSERT or 0
end

local at = 5
local answer = { 'OK' }
outbox = ARGV[at] == '1'
at = at + 1
while at <= #ARGV do
    local channel, kind, known, n, users = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
    local roster, numbers = base .. ':r:' .. channel, base .. ':s:' .. channel
    local flags = 0
    at = at + 5
    local had = try('HGET', numbers, me) or '0'
    if kind == 'r' then
        try('HLEN', roster)
        flags = compare_users(channel, roster, at, users)
        if is_due(roster) then
            check_roster(channel, roster)
        end
        if tonumber(call('HGET', roster, 'v') or '0') ~= tonumber(known) then
            flags = flags + READ
        end
    end
    if kind ~= 'r' and sum(numbers) ~= tonumber(known) then
        flags = READ
    end
    if had ~= n and flags < ASSERT then
        flags = flags + ASSERT
    end
    if is_due(numbers) then
        check_numbers(channel, numbers, kind ~= 'r')
    end
    if users > 0 or n ~= '0' then
        hold(me, channel)
    end
    renew_index(channel)
    at = at + users
    answer[#answer + 1] = text(flags)
end
save_version()
return answer
