-- Gives a delivery up that is dead, or waits. ARGV: now, delivery, reason, audit entry.   Returns discarded, missing,
-- in_flight, or `already` and its status.
local now, id = clock(ARGV[1]), ARGV[2]
local v = call('HMGET', R .. 'd:' .. id, 'status', 'lane')
local status, lane = v[1], v[2] or ''
if not status then return 'missing' end
if ended(status) then return 'already ' .. status end
if call('HEXISTS', P .. 'f:' .. lane, id) == 1 then return 'in_flight' end
if drop(lane, id, now) == 1 then touch(lane, now) end
call('HDEL', R .. 'd:' .. id, 'msg', 'due')
call('XADD', R .. 'audit', 'MAXLEN', '~', 100000, '*', 'j', ARGV[4])
mark(id, 'discarded', math.floor(now / 1000), ARGV[3], 'discarded')
proceed(id, now)
return 'discarded'
