-- Routes a kept event again. ARGV: now, event, message id, lane, payload, audit entry.   Returns 1, 0 where it is queued
-- already, -1 where there is no such event.
local now, event = clock(ARGV[1]), ARGV[2]
if call('EXISTS', R .. 'e:' .. event) == 0 then return -1 end
call('XADD', R .. 'audit', 'MAXLEN', '~', 100000, '*', 'j', ARGV[6])
local new = put('route', ARGV[4], ARGV[3], ARGV[5], now, false)
if new == 1 and call('HGET', R .. 'e:' .. event, 'st') ~= 'caught' then
  -- Open until it has been routed, as when it was caught: the sweep must not take it meanwhile.
  call('HSET', R .. 'e:' .. event, 'st', 'caught')
  event_opens(event, 1)
end
touch(ARGV[4], now)
return new
