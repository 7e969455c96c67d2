-- ARGV: now, then for each lane: lane, queue, concurrency (0 = any), rate count (0 = any), rate period, gate (0 = none)
local now = clock(ARGV[1])
for i = 2, #ARGV, 6 do
  local lane = ARGV[i]
  call('SADD', P .. 'lanes', lane)
  call('HSET', P .. 'l:' .. lane, 'q', ARGV[i + 1], 'c', ARGV[i + 2], 'rn', ARGV[i + 3], 'rp', ARGV[i + 4], 'g', ARGV[i + 5])
  touch(lane, now)
end
