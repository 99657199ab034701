-- channels: a slice of an app's occupied channels in this partition. See keys_and_scripts.h.
local app, cursor, prefix = ARGV[5], ARGV[6], ARGV[7]
local key = base .. ':c:' .. app

-- How many owners a user's field names: each is one subscription; the extras are in P:s.
local function owners_of(value)
    local bar = string.find(value, '|', 1, true) or 1
    local owners, at = 1, string.find(value, ',', 1, true)
    while at and at < bar do
        owners = owners + 1
        at = string.find(value, ',', at + 1, true)
    end
    return owners
end

local function users_of(channel)
    local users, subscriptions, roster = 0, 0, base .. ':r:' .. channel
    local fields = try('HGETALL', roster)
    limit(roster, D)
    for i = 1, #fields, 2 do
        if string.sub(fields[i], 1, 1) == 'u' then
            users, subscriptions = users + 1, subscriptions + owners_of(fields[i + 1])
        end
    end
    return users, subscriptions
end

try('SCARD', key)
limit(key, D)
local slice = call('SSCAN', key, cursor, 'COUNT', 100)
local answer = { 'OK', slice[1] }
for _, name in ipairs(slice[2]) do
    local channel = app .. ':' .. name
    local numbers = base .. ':s:' .. channel
    local users, subscriptions = users_of(channel)
    local more, owners = sum(numbers)
    subscriptions = subscriptions + more
    if owners > 0 then
        limit(numbers, D)
    end
    if subscriptions == 0 then
        call('SREM', key, name)
    elseif string.sub(name, 1, #prefix) == prefix then
        answer[#answer + 1] = name
        answer[#answer + 1] = text(subscriptions)
        answer[#answer + 1] = text(users)
    end
end
return answer
