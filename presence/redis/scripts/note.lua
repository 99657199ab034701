-- note: an event for webhooks that is no change of state. See keys_and_scripts.h.
local kind, channel, user, payload, once_ms = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
if once_ms ~= '0' and not call('SET', base .. ':m:' .. channel, '', 'NX', 'PX', once_ms) then
    return { 'OK' }
end
try('XADD', base .. ':out', 'MAXLEN', '~', '100000', '*',
    'k', kind, 'c', channel, 'u', user, 't', timeline, 'r', '0', 'n', '0', 'p', payload)
call('PUBLISH', base .. ':w', '1')
return { 'OK' }
