-- read: one channel as it stands. It can write (junk is deleted), so a replica refuses it. See
-- keys_and_scripts.h.
local channel = ARGV[5]
local roster, numbers, cached_key = base .. ':r:' .. channel, base .. ':s:' .. channel, base .. ':k:' .. channel
local fields = try('HGETALL', roster)
limit(roster, D)
local subscriptions, owners = sum(numbers)
if owners > 0 then
    limit(numbers, D)
end

local cached = try('GET', cached_key) or ''
local cached_ms = cached ~= '' and limit(cached_key, D) or 0

local answer = { 'OK', '0', '0', text(version), text(clock), '', cached, text(math.max(cached_ms, 0)) }
for i = 1, #fields, 2 do
    local field, value = fields[i], fields[i + 1]
    if field == 'v' then
        answer[2] = text(tonumber(value) or 0)
    elseif field == 'b' then
        answer[3] = text(tonumber(value) or 0)
    elseif string.sub(field, 1, 1) == 'u' then
        answer[#answer + 1] = field
        answer[#answer + 1] = value
        subscriptions = subscriptions + owners_of(value)
    end
end
answer[6] = text(subscriptions)
return answer
