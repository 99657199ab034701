-- Part of heartbeat: the connections of apps that have a limit, over the fleet. Each owner writes its own, and once in
-- half an H whoever comes first adds them up, so that the cost does not grow with the square of the edges.
local usages = base .. ':q'

-- Whether it was high time.
local function renew(key)
    local left = call('PTTL', key)
    local is_due = left > -2 and left * 1000 < D / 2
    if is_due then
        expire(key, D)
    end
    return is_due
end

local function said_at(said)
    return said and tonumber(string.match(said, '^%d+'))
end

local function numbers(said, into)
    for app, n in string.gmatch(said or '', '\n([^\n]+)\n(%d+)') do
        into[app] = (into[app] or 0) + tonumber(n)
    end
    return into
end

local function said(apps)
    local words = { text(clock) }
    for app, n in pairs(apps) do
        if n ~= 0 then
            words[#words + 1] = app
            words[#words + 1] = text(n)
        end
    end
    return table.concat(words, '\n')
end

-- What an owner said counts as long as its lease would; what is from the future is of a clock that was lost.
local function add_up()
    local sum = {}
    local all = call('HGETALL', usages)
    for i = 1, #all, 2 do
        local at = said_at(all[i + 1])
        local is_sum = all[i] == 'sum'
        if not is_sum and (not at or at > clock or at + L + H < clock) then
            call('HDEL', usages, all[i])
        elseif not is_sum then
            numbers(all[i + 1], sum)
        end
    end
    call('HSET', usages, 'sum', said(sum))
    return sum
end

-- ARGV from `first` on: app, connections here, and so on. Adds the connections elsewhere, one number an app, to the answer.
local function exchange_usage(first, last, answer)
    if last < first then
        return
    end
    local had = try('HMGET', usages, me, 'sum')
    local mine = {}
    for i = first, last, 2 do
        mine[ARGV[i]] = tonumber(ARGV[i + 1])
    end
    call('HSET', usages, me, said(mine))
    local mine_at, sum_at = said_at(had[1]), said_at(had[2])
    local sum, in_sum
    if sum_at and sum_at <= clock and clock - sum_at < H / 2 and not (mine_at and mine_at > sum_at) then
        sum, in_sum = numbers(had[2], {}), numbers(had[1], {})
    else
        sum, in_sum = add_up(), mine
    end
    for i = first, last, 2 do
        local app = ARGV[i]
        answer[#answer + 1] = text(math.max((sum[app] or 0) - (in_sum[app] or 0), 0))
    end
    renew(usages)
end
