-- An operator's limits in place of those that configure gave. ARGV: now, lane, concurrency ('' = as it is), rate count ('' = as
-- it is), rate period, how it came about ('' = back to what configure gave)   Returns 1 where the lane changed.
local now, lane = clock(ARGV[1]), ARGV[2]
local key = P .. 'l:' .. lane
local before = call('HMGET', key, 'c', 'rn', 'rp', 'by')
if ARGV[6] == '' then
  call('HDEL', key, 'oc', 'on', 'op', 'by')
else
  call('HSET', key, 'by', ARGV[6])
  if ARGV[3] ~= '' then call('HSET', key, 'oc', ARGV[3]) end
  if ARGV[4] ~= '' then call('HSET', key, 'on', ARGV[4], 'op', ARGV[5]) end
end
set_limits(lane)
touch(lane, now)
local after = call('HMGET', key, 'c', 'rn', 'rp', 'by')
for i = 1, 4 do
  if before[i] ~= after[i] then return 1 end
end
return 0
