-- Closes a batch that is due: its rows are fixed from now on, and so is the version of the recipe that renders them.
-- ARGV: now, worker, lane, batch, version     Returns {when it was closed (ms), version, attempts made, row, …}; nil where the
-- worker doesn't hold the batch.
local now, worker, lane, batch = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local key = R .. 'bt:' .. batch
if not holds(worker, lane, batch) then return false end
if call('HSETNX', key, 'closed', int(math.floor(now / 1000))) == 1 then
  call('HSET', key, 'ver', ARGV[5])
  local step = call('HGET', key, 'k')
  -- A full one has made room for the next already.
  if call('HGET', R .. 'batches', step) == batch then call('HDEL', R .. 'batches', step) end
end
local v = call('HMGET', key, 'closed', 'ver', 'n')
local got = {v[1], v[2], v[3] or '0'}
for _, id in ipairs(call('LRANGE', R .. 'br:' .. batch, 0, -1)) do
  -- What was replayed or discarded meanwhile is no row of this batch any more.
  if call('HGET', R .. 'd:' .. id, 'bt') == batch then got[#got + 1] = id end
end
return got
