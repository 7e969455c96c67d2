-- The answer to a fetch was lost: what the worker holds by the store's account and knows nothing of waits again.
-- ARGV: now, queue, worker, the ids it knows of, …   Returns how many.
local now, queue, worker = clock(ARGV[1]), ARGV[2], ARGV[3]
local known, lanes, back = {}, {}, 0
for i = 4, #ARGV do known[ARGV[i]] = true end
local held = call('HGETALL', P .. 'w:' .. worker)
for i = 1, #held, 2 do
  local id, lane = held[i], held[i + 1]
  if not known[id] and call('HGET', P .. 'l:' .. lane, 'q') == queue then
    put_back(worker, lane, id, again(lane, now))
    lanes[lane] = true
    back = back + 1
  end
end
for lane in pairs(lanes) do touch(lane, now) end
return back
