-- Shared by the scripts that change facts. A fact is changed for an `owner`; a user is present as long as his
-- field names one, whatever that owner's lease says.
local outbox = false -- transitions are kept for webhooks
local OUTBOX_ENTRIES = '100000' -- about: the oldest go when nobody fetches them
local EDGE_LOST = '3' -- of enum store_reason
local LEAVE_WAITS = 3000000 -- a page reload makes no noise (http-api.md, "Webhooks")

-- Above the partition's last, above the clock, and above the roster's own: neither a rollback, nor a refilled channel, nor
-- a stamp that was lost while the clock went back, reuses one.
local function next_version(of_roster)
    version = math.max(version + 1, (of_roster or 0) + 1, now)
    return version
end

local function save_version()
    if version ~= version_stamped then
        call('HSET', base, 'v', text(version))
    end
end

local function publish(channel, message)
    call('PUBLISH', base .. ':e:' .. channel, message)
end

local function publish_user(kind, channel, previous, new, owner, user, info)
    publish(channel, '1' .. kind .. ' ' .. timeline .. ' ' .. text(previous) .. ' ' .. text(new) .. ' ' .. owner
        .. ' ' .. #user .. ' ' .. user .. info)
end

local function split(value)
    local bar = string.find(value, '|', 1, true)
    if not bar then
        return '', ''
    end
    return string.sub(value, 1, bar - 1), string.sub(value, bar + 1)
end

local function names(owners, owner)
    return string.find(',' .. owners .. ',', ',' .. owner .. ',', 1, true)
end

local function without(owners, owner)
    local rest = {}
    for each in string.gmatch(owners, '[^,]+') do
        if each ~= owner then
            rest[#rest + 1] = each
        end
    end
    return table.concat(rest, ',')
end

local function app_and_name(channel)
    local colon = string.find(channel, ':', 1, true) or 0
    return string.sub(channel, 1, colon - 1), string.sub(channel, colon + 1)
end

-- A set gets its TTL with its first element.
local function add(key, element)
    if try('SADD', key, element) == 1 and call('SCARD', key) == 1 then
        expire(key, D)
    end
end

local function index(channel)
    local app, name = app_and_name(channel)
    add(base .. ':c:' .. app, name)
end

local function unindex(channel)
    local app, name = app_and_name(channel)
    try('SREM', base .. ':c:' .. app, name)
end

local function due_member(kind, channel, user)
    return kind .. ' ' .. #channel .. ' ' .. channel .. user
end

-- Whoever delivers is woken, once a script.
local woken = false
local function wake()
    if not woken then
        woken = true
        call('PUBLISH', base .. ':w', '1')
    end
end

local function tell(kind, channel, user, reason, n)
    wake()
    try('XADD', base .. ':out', 'MAXLEN', '~', OUTBOX_ENTRIES, '*',
        'k', kind, 'c', channel, 'u', user, 't', timeline, 'r', reason or '0', 'n', n or '0', 'p', '')
    -- After a loss another owner of his may be about to assert what he never ceased to hold.
    if (kind == 'member_removed' or kind == 'channel_vacated') and clock < mark + L + H then
        try('ZADD', base .. ':due', text(math.floor((clock + L + H) / 10) * 10), due_member('absent', channel, user))
    end
end

-- After a loss those of old are reaped, of whom nobody knows whether they had been told as gone before.
local function is_of_old(departure)
    if clock > mark + L + 2 * H + LEAVE_WAITS then
        return false
    end
    local at = tonumber(try('ZSCORE', base .. ':due', departure) or nil)
    return at and text(at % 10) == EDGE_LOST
end

-- Someone came: his departure that still waits is forgotten, and with it this arrival. `known`: he was told long
-- ago, and is told only if his absence has been since.
local function came(added, removed, channel, user, known)
    if not outbox then
        return
    end
    local departure = due_member(removed, channel, user)
    local of_old = is_of_old(departure)
    local waited = try('ZREM', base .. ':due', departure) == 1 and not of_old
    local was_told_absent = known and call('ZREM', base .. ':due', due_member('absent', channel, user)) == 1
    if was_told_absent or not (known or waited) then
        tell(added, channel, user)
    end
end

-- The reason is the last digit of the time at which it is told. A channel is told as vacated behind the last who left it.
local function went(removed, channel, user, reason)
    if outbox then
        local at = math.floor((clock + LEAVE_WAITS) / 10) * 10 + (tonumber(reason) or 0)
        if removed == 'channel_vacated' then
            at = at + 10
        end
        try('ZADD', base .. ':due', text(at), due_member(removed, channel, user))
    end
end

local function join(owner, channel, user, info, cap, known)
    local key, field = base .. ':r:' .. channel, 'u' .. user
    local had = try('HMGET', key, 'v', 'b', field)
    local previous = tonumber(had[1])
    if had[3] then
        local owners, first_info = split(had[3])
        if owners ~= '' and previous then
            if not names(owners, owner) then
                call('HSET', key, field, owners .. ',' .. owner .. '|' .. first_info)
            end
            publish_user('=', channel, previous, previous, owner, user, '')
            return previous
        end
    end
    local users = call('HLEN', key) - (had[1] and 1 or 0) - (had[2] and 1 or 0)
    if cap > 0 and users >= cap then
        return -1
    end
    local new = next_version(previous)
    if previous and tonumber(had[2]) then
        call('HSET', key, 'v', text(new), field, owner .. '|' .. info)
    else
        previous = 0
        call('HSET', key, 'v', text(new), 'b', text(new), field, owner .. '|' .. info)
    end
    if users == 0 or previous == 0 then
        expire(key, D)
        index(channel)
        came('channel_occupied', 'channel_vacated', channel, '', known)
    end
    came('member_added', 'member_removed', channel, user, known)
    publish_user('+', channel, previous, new, owner, user, info)
    return new
end

-- Takes a user out whose field names nobody else, or no one at all. had_version, birth: the roster's, or nil.
local function remove_user(owner, channel, key, user, had_version, birth, reason)
    local new = next_version(had_version)
    call('HDEL', key, 'u' .. user)
    if had_version and birth then
        call('HSET', key, 'v', text(new))
    else
        had_version = 0
        call('HSET', key, 'v', text(new), 'b', text(new))
        expire(key, D)
    end
    went('member_removed', channel, user, reason)
    publish_user('-', channel, had_version, new, owner, user, '')
    if call('HLEN', key) == 2 then
        expire(key, 2 * S)
        unindex(channel)
        went('channel_vacated', channel, '', reason)
    end
    return new
end

local function leave(owner, channel, user, reason)
    local key = base .. ':r:' .. channel
    local had = try('HMGET', key, 'v', 'b', 'u' .. user)
    local previous = tonumber(had[1])
    if not had[3] then
        return previous or 0
    end
    local owners, info = split(had[3])
    if not names(owners, owner) then
        return previous or 0
    end
    local rest = without(owners, owner)
    if rest ~= '' then
        call('HSET', key, 'u' .. user, rest .. '|' .. info)
        return previous or 0
    end
    return remove_user(owner, channel, key, user, previous, tonumber(had[2]), reason)
end

-- After a loss the numbers of the owners come back one after the other. What they add up to is told when all had the time,
-- and only if it is not what was told last; "-": it is. Kind counting says that this is under way.
local function tell_count_later(channel, last_told)
    local at = text(math.floor((clock + L + H) / 10) * 10)
    local began = try('ZADD', base .. ':due', 'NX', at, due_member('counting', channel, '')) == 1
    if began or last_told == '-' then
        call('ZADD', base .. ':due', at, due_member('counted', channel, last_told))
    end
end

local function tell_count(channel, total, is_first, last_told)
    local counting = try('ZSCORE', base .. ':due', due_member('counting', channel, ''))
    if not last_told then
        tell('subscription_count', channel, '', '0', text(total))
        if counting then
            tell_count_later(channel, '-')
        end
    elseif is_first then
        tell_count_later(channel, last_told)
    elseif not counting then -- those who came before have made others hear of less
        tell_count_later(channel, '-')
    end
end

-- told: the channel has no roster, so these numbers occupy it, and their sum is published. last_told: the sum that the
-- owner was told last, who asserts what he never ceased to hold; else nil.
local function count(owner, channel, n, told, reason, last_told)
    local key = base .. ':s:' .. channel
    local is_first, had = nil, last_told and try('HGET', key, owner)
    if n == '0' then
        if try('HDEL', key, owner) == 0 then
            return version
        end
    elseif try('HSET', key, owner, n) == 1 and call('HLEN', key) == 1 then
        expire(key, D)
        is_first = true
        if told then
            index(channel)
            came('channel_occupied', 'channel_vacated', channel, '', last_told ~= nil)
        end
    end
    if not told then
        return version
    end
    local total = sum(key)
    if total == 0 then
        unindex(channel)
        went('channel_vacated', channel, '', reason)
    end
    if outbox and had ~= n then
        tell_count(channel, total, is_first, last_told)
    end
    local new = next_version()
    publish(channel, '1n ' .. timeline .. ' ' .. text(new) .. ' ' .. text(total))
    return new
end

local function hold(owner, channel)
    add(base .. ':h:' .. owner, channel)
end

local function release(owner, channel)
    try('SREM', base .. ':h:' .. owner, channel)
end

-- What my operation that begins at ARGV[at] has led to, read from the present state: the answer to a repeated one.
local function outcome(at)
    local kind, channel, user = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    if kind ~= 'j' then
        return version
    end
    local had = try('HMGET', base .. ':r:' .. channel, 'v', 'u' .. user)
    local owners = had[2] and split(had[2]) or ''
    return names(owners, me) and tonumber(had[1]) or -1
end

-- Every fact of an owner in a channel, except the users in `keep` and, with keep_count, the number.
-- Returns how many fields were looked at, and how many of them named the owner.
local function drain(owner, channel, keep, keep_count, reason)
    local fields, named = try('HGETALL', base .. ':r:' .. channel), 0
    for i = 1, #fields, 2 do
        local user = string.sub(fields[i], 2)
        if string.sub(fields[i], 1, 1) == 'u' and not (keep and keep[user]) and names((split(fields[i + 1])), owner) then
            leave(owner, channel, user, reason)
            named = named + 1
        end
    end
    if not keep_count then
        local has_roster = #fields > 0
        count(owner, channel, '0', not has_roster, reason)
    end
    return #fields / 2 + 1, named
end
