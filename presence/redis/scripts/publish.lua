-- publish: an event, to whoever is subscribed anywhere. A script, because a replica must refuse it. See
-- keys_and_scripts.h.
local channel, ttl_ms, message = ARGV[5], ARGV[6], ARGV[7]
if ttl_ms ~= '0' then
    call('SET', base .. ':k:' .. channel, message, 'PX', ttl_ms)
end
call('PUBLISH', base .. ':e:' .. channel, message)
return { 'OK' }
