-- ARGV: now, queue, lane, state ('' = running), reason, only where the state is this ('*' = any)
-- Returns 1 where the lane changed.
local now, lane = clock(ARGV[1]), ARGV[3]
local old = call('HGET', P .. 'l:' .. lane, 'paused') or ''
if ARGV[6] ~= '*' and old ~= ARGV[6] then return 0 end
if call('HSETNX', P .. 'l:' .. lane, 'q', ARGV[2]) == 1 then call('SADD', P .. 'lanes', lane) end
pause(lane, ARGV[4], ARGV[5])
touch(lane, now)
return old ~= ARGV[4] and 1 or 0
