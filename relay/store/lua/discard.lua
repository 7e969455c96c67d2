-- Gives a delivery up that is dead, or waits. ARGV: now, delivery, reason, audit entry.   Returns discarded, missing,
-- in_flight, or `already` and its status.
local now, id = clock(ARGV[1]), ARGV[2]
local v = call('HMGET', R .. 'd:' .. id, 'status', 'lane')
local status, lane = v[1], v[2] or ''
if not status then return 'missing' end
if ended(status) then return 'already ' .. status end
if call('HEXISTS', P .. 'f:' .. lane, (in_lane(id))) == 1 then return 'in_flight' end
-- A batch leaves out what has ended.
if drop(lane, id) == 0 then give_place(lane, id) end
touch(lane, now)
call('HDEL', R .. 'd:' .. id, 'msg', 'due')
leave_batch(id)
call('XADD', R .. 'audit', 'MAXLEN', '~', 100000, '*', 'j', ARGV[4])
mark(id, 'discarded', math.floor(now / 1000), ARGV[3], 'discarded')
proceed(id, now)
return 'discarded'
