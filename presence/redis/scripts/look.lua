-- look: who lives in this partition, and who holds what in one channel, for people who look. Changes nothing, also
-- not what is of another type than it should be. See keys_and_scripts.h.
local owners_at_most, channel, users_at_most, user = tonumber(ARGV[5]) or 0, ARGV[6], tonumber(ARGV[7]) or 0, ARGV[8]

local function peek(command, ...)
    local answer = redis.pcall(command, ...)
    return type(answer) == 'table' and answer.err and {} or answer
end

local leases = peek('ZRANGE', base .. ':l', 0, owners_at_most - 1, 'WITHSCORES')
local answer = { 'OK', text(clock), text(#leases / 2), '0', '0', '0' }
local function add(...)
    for _, value in ipairs({ ... }) do
        answer[#answer + 1] = value
    end
end
for i = 1, #leases, 2 do
    local record = peek('HMGET', base .. ':o:' .. leases[i], 'i', 's', 'e')
    local held = peek('SCARD', base .. ':h:' .. leases[i])
    add(leases[i], text(tonumber(leases[i + 1]) or 0), record[1] or '', record[2] or '0', record[3] or '',
        type(held) == 'number' and text(held) or '0')
end
if channel == '' then
    return answer
end

local numbers = peek('HGETALL', base .. ':s:' .. channel)
answer[4] = text(#numbers / 2)
for i = 1, #numbers, 2 do
    add(numbers[i], numbers[i + 1])
end

local key, users, told = base .. ':r:' .. channel, 0, 0
if user ~= '' then
    local value = peek('HGET', key, 'u' .. user)
    if type(value) == 'string' then
        users, told = 1, 1
        add('u' .. user, value)
    end
else
    local fields = peek('HGETALL', key)
    for i = 1, #fields, 2 do
        if string.sub(fields[i], 1, 1) == 'u' then
            users = users + 1
            if told < users_at_most then
                told = told + 1
                add(fields[i], fields[i + 1])
            end
        end
    end
end
answer[5], answer[6] = text(users), text(told)
return answer
