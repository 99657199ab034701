-- Shared by all scripts: the time, taken once; the stamp; who calls.
local call = redis.call
local base = KEYS[1]
local drains = false -- whether the script is also for a copy of the partition that the fleet has left
local now
do
    local t = call('TIME')
    now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end

-- All our numbers are whole and below 2^53; tostring() would round them to 14 digits.
local function text(number)
    return string.format('%.0f', number)
end

-- Runs a command on a key that may hold junk: of another type, or a stream that takes no more. Junk is deleted: its owners
-- assert again.
local function try(command, key, ...)
    local answer = redis.pcall(command, key, ...)
    if type(answer) == 'table' and answer.err then
        local is_junk = string.find(answer.err, 'WRONGTYPE', 1, true) or string.find(answer.err, 'last possible ID', 1, true)
        if not is_junk then
            error(answer.err)
        end
        call('DEL', key)
        return call(command, key, ...)
    end
    return answer
end

-- What the owners' numbers in a P:s add up to, and how many there are. Junk among them counts nothing.
local function sum(key)
    local total, numbers = 0, try('HVALS', key)
    for _, n in ipairs(numbers) do
        total = total + (tonumber(n) or 0)
    end
    return total, #numbers
end

local function expire(key, microseconds)
    call('PEXPIREAT', key, text(math.floor((now + microseconds) / 1000)))
end

-- Of ours nothing lacks a time to live; what others have put here gets one when it is seen. Returns how many milliseconds are
-- left.
local function limit(key, microseconds)
    local left = call('PTTL', key)
    if left == -1 then
        expire(key, microseconds)
        return microseconds / 1000
    end
    return left
end
