-- ARGV: now, then for each lane: lane, queue, concurrency (0 = any), rate count (0 = any), rate period, gate (0 = none), and of
-- the breaker: how many attempts it takes at least (0 = none), percent, window, first and longest pause
local now = clock(ARGV[1])
for i = 2, #ARGV, 11 do
  local lane = ARGV[i]
  local key = P .. 'l:' .. lane
  call('SADD', P .. 'lanes', lane)
  call('HSET', key, 'q', ARGV[i + 1], 'yc', ARGV[i + 2], 'yn', ARGV[i + 3], 'yp', ARGV[i + 4], 'g', ARGV[i + 5],
       'bl', ARGV[i + 6], 'bs', ARGV[i + 7], 'bw', ARGV[i + 8], 'bc', ARGV[i + 9], 'bm', ARGV[i + 10])
  set_limits(lane)
  if ARGV[i + 6] == '0' then
    -- Of what a breaker did to it nothing stays.
    if call('HEXISTS', key, 'why') == 1 then call('HDEL', key, 'wait') end
    call('HDEL', key, 'bn', 'bf', 'bt', 'br', 'bsince', 'why', 'trips', 'ramp')
  end
  touch(lane, now)
end
