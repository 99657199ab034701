-- Shared by those who may stamp a shard.
local function replication_id()
    return string.match(call('INFO', 'replication'), 'master_replid:(%x+)')
end

local function number_of(timeline)
    return timeline and tonumber(string.match(timeline, '^(%d+)-%x+$'))
end

local function stamp_shard(key, cluster, shard, old, replid, random)
    local t = text(math.max(now, (number_of(old) or 0) + 1)) .. '-' .. random
    call('HSET', key, 'c', cluster, 'n', shard, 'r', replid, 't', t)
    return t
end
