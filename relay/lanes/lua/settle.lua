-- ARGV: now, worker, then for each message: verb (ack, nack, retry, requeue), lane, id, due (retry only), what it says of its
-- destination, and how many µs that wants to be left alone (see `observe`)
-- Returns for each message 1, or 0 where the worker no longer holds it.
local now, worker = clock(ARGV[1]), ARGV[2]
local results, lanes = {}, {}
for i = 3, #ARGV, 6 do
  local verb, lane, id = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local held = holds(worker, lane, id)
  if held then
    if verb == 'retry' then
      local due = tonumber(ARGV[i + 3])
      local first = again(lane, due)
      -- In a gated lane the others wait with it: they would overtake it otherwise.
      if first < due then call('HSET', P .. 'l:' .. lane, 'wait', int(due)) end
      put_back(worker, lane, id, first, first == due)
    elseif verb == 'requeue' then
      put_back(worker, lane, id, again(lane, now))
    else
      release(worker, lane, id)
      if verb == 'nack' then call('HSET', P .. 'x:' .. lane, id, call('HGET', P .. 'msg', id)) end
      finish(lane, id)
    end
    observe(lane, ARGV[i + 4], tonumber(ARGV[i + 5]), '', now)
    lanes[lane] = true
  end
  results[#results + 1] = held and 1 or 0
end
for lane in pairs(lanes) do touch(lane, now) end
return results
