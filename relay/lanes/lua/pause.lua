-- ARGV: now, queue, lane, state ('' = running), reason, only where the state is this ('*' = any, '' = running)
-- Returns 1 where the lane changed.
local now, lane, state, only = clock(ARGV[1]), ARGV[3], ARGV[4], ARGV[6]
local key = P .. 'l:' .. lane
local v = call('HMGET', key, 'paused', 'br', 'wait', 'why')
local old = v[1] or ''
-- A pause that an attempt brought about, by the breaker or because the destination asked for it, ends with a resume as well.
local waits = v[4] and tonumber(v[3] or 0) > now
local breaks = state == '' and (waits or v[2]) and (only == '*' or only == 'breaker')
if only ~= '*' and old ~= only and not breaks then return 0 end
known(ARGV[2], lane)
if state ~= '' or old ~= '' and (only == '*' or only == old) then pause(lane, state, ARGV[5], now) end
if state == '' and (old ~= '' and old ~= 'incomplete' or breaks) then begin_again(lane) end
touch(lane, now)
return (old ~= state and (only == '*' or only == old) or breaks and waits) and 1 or 0
