-- assert: all facts of an owner, in place of what it had here. See keys_and_scripts.h.
local number = tonumber(ARGV[5])
local facts = tonumber(ARGV[7])
local FIRST, STRIDE = 8, 5
local RESTATED = FIRST + facts * STRIDE

-- The owner whom this one was, if his lease cannot have run out: who is asserted was told long ago, and nobody can have
-- told that he left. Unless this dataset, which is older than the former owner, has condemned him.
local former = tonumber(ARGV[6])
local known = former > 1 and (ARGV[6] == me or former < (tonumber(call('HGET', base, 'b') or nil) or 0))

-- The facts by channel, so that what is no longer one can be taken out.
local function by_channel()
    local mine = {}
    for at = FIRST, RESTATED - 1, STRIDE do
        local channel = ARGV[at + 1]
        local here = mine[channel] or { users = {} }
        mine[channel] = here
        if ARGV[at] == 'j' then
            here.users[ARGV[at + 2]] = true
        else
            here.counted = true
        end
    end
    return mine
end

-- Who is told anyhow, as "channel user"; and the channels that have been.
local restated = {}
for at = RESTATED, #ARGV, 2 do
    restated[ARGV[at] .. ' ' .. ARGV[at + 1]] = true
end

-- A channel without a roster, whose number has changed lately. Others may be about to assert theirs, so that it is vacated
-- shows later.
local function restate_number(channel)
    if try('HLEN', base .. ':s:' .. channel) > 0 then
        tell('channel_occupied', channel, '')
    else
        try('ZADD', base .. ':due', text(math.floor((clock + L + H) / 10) * 10 + 10), due_member('channel_vacated', channel, ''))
    end
    tell_count_later(channel, '-')
end

local function restate(channel, user)
    if user == '' then
        restate_number(channel)
        return
    end
    local key = base .. ':r:' .. channel
    local here, occupied = try('HEXISTS', key, 'u' .. user) == 1, call('HLEN', key) > 2
    local is_first = not restated[channel]
    restated[channel] = true
    if is_first then
        try('ZREM', base .. ':due', due_member('channel_vacated', channel, ''))
    end
    if is_first and occupied then
        tell('channel_occupied', channel, '')
    end
    try('ZREM', base .. ':due', due_member('member_removed', channel, user))
    tell(here and 'member_added' or 'member_removed', channel, user)
    if is_first and not occupied then
        tell('channel_vacated', channel, '')
    end
end

local function apply(at)
    local channel = ARGV[at + 1]
    local at_version
    if ARGV[at] == 'j' then
        at_version = join(me, channel, ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4]) or 0,
            known or restated[channel .. ' ' .. ARGV[at + 2]])
    else
        at_version = count(me, channel, ARGV[at + 2], ARGV[at] == 'n', nil, known and ARGV[at + 3] or nil)
    end
    if at_version >= 0 then
        hold(me, channel)
    end
    return at_version
end

local seen = number <= sequence
local answer = { seen and 'DUP' or 'OK', ARGV[5] }
outbox = former > 0
if not seen then
    local mine = by_channel()
    for _, channel in ipairs(try('SMEMBERS', base .. ':h:' .. me)) do
        local here = mine[channel]
        drain(me, channel, here and here.users, here and here.counted)
        if not here then
            release(me, channel)
        end
    end
end
local result_of = seen and outcome or apply
for at = FIRST, RESTATED - 1, STRIDE do
    answer[#answer + 1] = text(result_of(at))
end
if not seen then
    if outbox then
        for at = RESTATED, #ARGV, 2 do
            local name = ARGV[at] .. ' ' .. ARGV[at + 1]
            if restated[name] then -- he may have come and gone many times
                restated[name] = nil
                restate(ARGV[at], ARGV[at + 1])
            end
        end
    end
    save_version()
    call('HSET', base .. ':o:' .. me, 's', ARGV[5])
end
return answer
