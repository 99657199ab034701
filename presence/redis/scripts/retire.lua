-- retire: a planned stop. The owner writes no more; its facts stay for the grace, then are reaped like any
-- other's. See keys_and_scripts.h.
try('ZADD', base .. ':l', text(clock + tonumber(ARGV[5])), me)
call('DEL', base .. ':o:' .. me)
try('HDEL', base .. ':q', me) -- its connections are about to come back elsewhere
return { 'OK' }
