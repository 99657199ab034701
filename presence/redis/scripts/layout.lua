-- layout: where each partition lives. What the caller knows and what this shard's stamp says become the higher of the
-- two, on both sides. See keys_and_scripts.h.
local cluster, shard, settings, silence = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local random = ARGV[6] -- "": the caller may not stamp an empty dataset
local FIRST = 7
local prefix = string.match(base, '^(.*):shard$')

local function read_stamp()
    local stamp, all = {}, redis.pcall('HGETALL', base)
    for i = 1, all.err and 0 or #all, 2 do
        stamp[all[i]] = all[i + 1]
    end
    return stamp
end

-- So that whoever starts with a list of this shard only hears where the fleet lives.
local stamp = read_stamp()
if not stamp.c and random ~= '' and call('DBSIZE') == 0 then
    stamp_shard(base, cluster, shard, nil, replication_id(), random)
    stamp = read_stamp()
end
if not stamp.c or not stamp.n then
    return { 'OK', call('DBSIZE') == call('EXISTS', base) and 'EMPTY' or 'UNSTAMPED' }
elseif stamp.c ~= cluster or stamp.n ~= shard then
    return { 'WRONGSHARD', stamp.c, stamp.n }
elseif stamp.s and stamp.s ~= settings and now - (tonumber(stamp.hb) or 0) <= silence then
    return { 'SETTINGS', stamp.s }
end

local fields = { 's', settings, 'hb', text(now) }
for name in string.gmatch(ARGV[5], '[^\n]+') do
    fields[#fields + 1] = 'a' .. name
    fields[#fields + 1] = text(now)
    stamp['a' .. name] = text(now)
end

local function copy_of(partition, v)
    return prefix .. ':{' .. partition .. '}' .. (v > 1 and '.' .. text(v) or '')
end

-- Nobody who has that shard in his configuration, and reaches it if it is to go, has been here for so long.
local function is_abandoned(name)
    return now - (tonumber(stamp['a' .. name] or nil) or 0) > silence
end

local answer = { 'OK', 'STAMPED' }
for at = FIRST, #ARGV do
    local partition = text(at - FIRST)
    local had = stamp['l' .. partition] or ''
    local mine, v = version_and_shard(ARGV[at]), nil
    local theirs, name = version_and_shard(had)
    if mine > theirs or (mine == theirs and ARGV[at] ~= had) then
        fields[#fields + 1] = 'l' .. partition
        fields[#fields + 1] = ARGV[at]
    end
    if mine > theirs and name == shard then
        leave_copy(copy_of(partition, theirs), ARGV[at])
    end
    answer[#answer + 1] = name and had or ''
    answer[#answer + 1] = name and is_abandoned(name) and '1' or '0'
end
call('HSET', base, unpack(fields))
return answer
