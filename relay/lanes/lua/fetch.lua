-- ARGV: now, queue, worker, how many, lease, share ('' = none)
-- Returns {microseconds until the next timer or -1, now, lane, id, payload, times taken back, lane, id, …}.
local now, queue, worker, n = clock(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local ready, timer = P .. 'ready:' .. queue, P .. 'timer:' .. queue
local got = {-1, int(now)}

call('ZADD', P .. 'workers', int(now + ARGV[5]), worker)
for _, lane in ipairs(call('ZRANGE', timer, '-inf', int(now), 'BYSCORE', 'LIMIT', 0, n + 64)) do touch(lane, now) end

-- A share keeps room for lanes that have nothing in flight yet, however many others hang: of what is free in the worker,
-- a lane may come to hold `share` times as much as it leaves (dynamic thresholds, Choudhury and Hahne 1998). With a share
-- of 2 one lane gets two thirds of a worker, four get 2/9 each, and something is left for the next, always.
local share = tonumber(ARGV[6])
local mine = {}
if share then
  for _, lane in ipairs(call('HVALS', P .. 'w:' .. worker)) do mine[lane] = (mine[lane] or 0) + 1 end
end

-- How many that were tried before are in flight.
local function tried_in_flight(lane)
  local flying = 0
  for _, id in ipairs(call('SMEMBERS', P .. 'u:' .. lane)) do
    if call('HEXISTS', P .. 'f:' .. lane, id) == 1 then flying = flying + 1 else call('SREM', P .. 'u:' .. lane, id) end
  end
  return flying
end

-- What goes next, and whose turn it is after each. After a bad hour thousands of retries may be due at once: while first
-- attempts wait too, they take turns, and what was tried before holds at most half of the lane's places.
local function due(lane, s, most)
  local firsts = call('ZRANGE', P .. 'd:' .. lane, '-inf', int(now), 'BYSCORE', 'LIMIT', 0, most)
  local tried = call('ZRANGE', P .. 't:' .. lane, '-inf', int(now), 'BYSCORE', 'LIMIT', 0, most)
  if #tried == 0 then return firsts, {}, {} end
  local may, turn = #tried, 't'
  if #firsts > 0 then
    if s.c > 0 then may = math.min(may, math.max(1, math.floor(s.c / 2)) - tried_in_flight(lane)) end
    turn = call('HGET', P .. 'l:' .. lane, 'turn')
  end
  local ids, was_tried, turns, i, j = {}, {}, {}, 1, 1
  while #ids < most and (i <= #firsts or j <= may) do
    local both = i <= #firsts and j <= #tried
    local id
    if j <= may and (turn == 't' or i > #firsts) then
      id, turn, j = tried[j], 'd', j + 1
      was_tried[id] = true
    else
      id, turn, i = firsts[i], 't', i + 1
    end
    if both then turns[id] = turn end
    ids[#ids + 1] = id
  end
  return ids, was_tried, turns
end

local function take(lane, quantum)
  local s = settings(lane)
  if s.paused or s.wait > now then return 0 end
  quantum = math.min(quantum, room(lane, s))
  if share then
    local held = mine[lane] or 0
    local may = math.floor((share * n - held) / (share + 1))
    quantum = math.min(quantum, held == 0 and math.max(1, may) or may)
  end
  if quantum < 1 then return 0 end
  local rate, taken = P .. 'r:' .. lane, 0
  local ids, tried, turns = due(lane, s, quantum)
  local turn
  for _, id in ipairs(ids) do
    local payload = call('HGET', P .. 'msg', id)
    local back = tonumber(call('HGET', P .. 'back', id) or 0)
    -- One that a worker died over is handled alone, and in a gated lane nothing may go beside it.
    if s.g > 0 and back > 0 and taken > 0 then break end
    if payload and s.rn > 0 then
      local oldest = call('LINDEX', rate, -s.rn)
      if oldest and tonumber(oldest) + s.rp > now then break end
      call('RPUSH', rate, int(now))
      call('LTRIM', rate, -s.rn, -1)
    end
    call('ZREM', P .. (tried[id] and 't:' or 'd:') .. lane, id)
    -- An id without a message can't be; a hole in the answer would cut it off there.
    if payload then
      call('HSET', P .. 'f:' .. lane, id, worker)
      call('HSET', P .. 'w:' .. worker, id, lane)
      if tried[id] then call('SADD', P .. 'u:' .. lane, id) end
      taken = taken + 1
      turn = turns[id] or turn
      got[#got + 1] = lane
      got[#got + 1] = id
      got[#got + 1] = payload
      got[#got + 1] = back
    end
    if s.g > 0 and back > 0 then break end
  end
  if turn then call('HSET', P .. 'l:' .. lane, 'turn', turn) end
  return taken
end

-- Each lane in rotation gets an equal share of what is asked for, then goes to the end of the line. Each turn takes
-- something or takes the lane out of rotation, so this ends; the bound keeps one call short all the same.
local turns = 0
while n > 0 and turns < 512 do
  local lanes = call('ZRANGE', ready, 0, math.min(n, 64) - 1)
  if #lanes == 0 then break end
  local quantum = math.max(1, math.floor(n / #lanes))
  for _, lane in ipairs(lanes) do
    local taken = take(lane, math.min(quantum, n))
    n = n - taken
    turns = turns + 1
    call('ZREM', ready, lane)
    mine[lane] = (mine[lane] or 0) + taken
    -- One that has its share waits until something of it is settled: that puts it in rotation again.
    if taken > 0 or mine[lane] == 0 then
      rung[queue] = true -- going round is no news
      touch(lane, now)
      rung[queue] = nil
    end
    if n < 1 then break end
  end
end
if call('ZCARD', ready) > 0 then
  got[1] = 0
  -- There is more than this worker can take: wake one that sleeps.
  if n < 1 then ring(queue, now) end
else
  local first = call('ZRANGE', timer, 0, 0, 'WITHSCORES')
  if first[1] then got[1] = math.max(0, tonumber(first[2]) - now) end
end
return got
