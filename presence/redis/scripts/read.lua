-- read: one channel as it stands. It can write (junk is deleted), so a replica refuses it. See
-- keys_and_scripts.h.
local channel = ARGV[5]
local roster, numbers, cached_key = base .. ':r:' .. channel, base .. ':s:' .. channel, base .. ':k:' .. channel
local fields = try('HGETALL', roster)
if #fields > 0 then
    limit(roster, D)
end
local extras, owners = sum(numbers)
if owners > 0 then
    limit(numbers, D)
end

local cached = try('GET', cached_key) or ''
local cached_ms = cached ~= '' and math.max(limit(cached_key, D), 0) or 0
return { 'OK', text(version), text(clock), text(extras), cached, text(cached_ms), fields }
