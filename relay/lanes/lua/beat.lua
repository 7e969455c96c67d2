-- Renews the worker's lease; with ARGV[4] = '1' takes back what workers hold whose lease has run out.
-- ARGV: now, worker, lease, reap
-- Returns {0 where the lease had been lost, how many messages were taken back}.
local now, worker = clock(ARGV[1]), ARGV[2]
local kept = call('ZADD', P .. 'workers', int(now + ARGV[3]), worker) == 0
local back = 0
if ARGV[4] == '1' then
  for _, dead in ipairs(call('ZRANGE', P .. 'workers', '-inf', int(now), 'BYSCORE', 'LIMIT', 0, 16)) do
    back = back + take_back(dead, now, '1')
  end
end
return {kept and 1 or 0, back}
