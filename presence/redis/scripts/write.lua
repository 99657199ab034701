-- write: one frozen batch of an owner's changes. See keys_and_scripts.h.
local number = tonumber(ARGV[5])
local FIRST, STRIDE = 7, 6

local function apply(at)
    local kind, channel = ARGV[at], ARGV[at + 1]
    if kind == 'j' then
        local at_version = join(me, channel, ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4]) or 0)
        if at_version >= 0 then
            hold(me, channel)
        end
        return at_version
    end
    local at_version
    if kind == 'l' then
        at_version = leave(me, channel, ARGV[at + 2], ARGV[at + 3])
    else
        at_version = count(me, channel, ARGV[at + 2], ARGV[at + 3] == '1', ARGV[at + 4])
    end
    if ARGV[at + 5] == '1' then
        hold(me, channel)
    else
        release(me, channel)
    end
    return at_version
end

if number > sequence + 1 then
    return { 'GAP', text(sequence) }
end
local seen = number <= sequence
local answer = { seen and 'DUP' or 'OK', ARGV[5] }
outbox = ARGV[6] == '1'
local result_of = seen and outcome or apply
for at = FIRST, #ARGV, STRIDE do
    answer[#answer + 1] = text(result_of(at))
end
if not seen then
    save_version()
    call('HSET', base .. ':o:' .. me, 's', ARGV[5])
end
return answer
