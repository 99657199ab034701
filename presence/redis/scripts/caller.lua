-- Shared by all scripts but hello: refuses whoever takes this partition for another, or himself for alive.
local me, timeline = ARGV[3], ARGV[2]
local clock, mark, version, beat_at, H, L, D, S, shard_timeline, sequence, wish
local version_stamped
local moved = false -- this is a copy that the fleet has left

local function names_of(id)
    return string.match(id, '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)$')
end

local function otherwise(id)
    local cluster, shard, layout, settings = names_of(id)
    local my_cluster, my_shard, my_layout = names_of(ARGV[1])
    if not cluster then
        return { 'NOSTAMP' }
    elseif cluster ~= my_cluster or shard ~= my_shard then
        return { 'WRONGSHARD', cluster, shard }
    elseif layout ~= my_layout then
        return { 'NEWLAYOUT', layout }
    end
    return { 'SETTINGS', settings }
end

local function refusal()
    local s = redis.pcall('HMGET', base, 'id', 't', 'c', 'm', 'v', 'hb', 'h', 'l', 'd', 's', 'st', 'to')
    if s.err or not s[1] then
        return { 'NOSTAMP' }
    elseif s[1] ~= ARGV[1] then
        return otherwise(s[1])
    elseif s[12] and not drains then
        return { 'NEWLAYOUT', string.match(s[12], '^(%d+) (.*)$') }
    end
    clock, mark, version, beat_at = tonumber(s[3]), tonumber(s[4]), tonumber(s[5]), tonumber(s[6])
    H, L, D, S, shard_timeline = tonumber(s[7]), tonumber(s[8]), tonumber(s[9]), tonumber(s[10]), s[11]
    if not (s[2] and clock and mark and version and beat_at and H and L and D and S and shard_timeline) then
        return { 'NOSTAMP' }
    elseif s[12] then
        -- Nobody writes here any more: whoever knows of it may empty it.
        timeline, version_stamped, moved = s[2], version, true
        return
    elseif s[2] ~= timeline then
        return { 'NEWTIMELINE', s[2] }
    end
    version_stamped = version
    local record = try('HMGET', base .. ':o:' .. me, 'i', 's', 'w')
    sequence, wish = tonumber(record[2]), record[3]
    if record[1] ~= ARGV[4] or not sequence then
        return { 'NOOWNER' }
    end
end

local refused = refusal()
if refused then
    return refused
end
