-- Gives a dead letter up. ARGV: now, delivery, reason, audit entry.   Returns discarded, missing, or `already` and its
-- status.
local now, id = clock(ARGV[1]), ARGV[2]
local status = call('HGET', R .. 'd:' .. id, 'status')
if not status then return 'missing' end
if status ~= 'dead' then return 'already ' .. status end
call('XADD', R .. 'audit', '*', 'j', ARGV[4])
mark(id, 'discarded', math.floor(now / 1000), ARGV[3], 'discarded')
proceed(id, now)
return 'discarded'
