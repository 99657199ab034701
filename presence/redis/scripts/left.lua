local TTL_WITHOUT_STAMP = 600000000 -- D by default

-- Shared by those who find that the fleet has left a copy of a partition: it refuses everyone but who empties it, and
-- goes D after the last who did. entry: "layout-version shard", where the partition lives now.
local function leave_copy(copy, entry)
    local ttl = tonumber(try('HGET', copy, 'd') or nil) or TTL_WITHOUT_STAMP
    call('HDEL', copy, 'dl', 'de')
    call('HSET', copy, 'to', entry)
    for _, part in ipairs({ '', ':l', ':out', ':due' }) do
        call('PEXPIREAT', copy .. part, text(math.floor((now + ttl) / 1000)))
    end
end

-- Of "layout-version shard"; 0 and nil when there is none.
local function version_and_shard(entry)
    local v, name = string.match(entry or '', '^(%d+) (.+)$')
    return tonumber(v) or 0, name
end
