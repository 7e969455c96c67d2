-- The lanes' own functions. Every script of the lanes begins with this text, and so may a script of somebody else
-- that wants to move messages in the same atomic act as data of its own.
--
-- KEYS[1]  the prefix, written P below. Times are microseconds since 1970: an integer that a score holds exactly.
--
-- P msg          hash   id -> payload                  every message that waits or is in flight
-- P lanes        set    the lanes there are
-- P l:<lane>     hash   q queue, c concurrency, rn and rp rate (rn in rp µs), g gate, wait until when a
--                       gated lane gives nothing, paused, reason
-- P d:<lane>     zset   id -> due                      waiting
-- P f:<lane>     hash   id -> worker                   in flight
-- P r:<lane>     list   when the last rn were taken    only where there is a rate
-- P o:<lane>     hash   id -> order key                only ordered messages
-- P b:<lane>     hash   id -> due                      ordered messages behind another of their key
-- P k:<lane>:<key> list ids in order, the first of them waiting, in flight, or holding a place for a message to come
-- P x:<lane>     hash   id -> payload                  dead letters of nack
-- P ready:<queue> zset  lane -> turn                   lanes with something to take now, in rotation
-- P timer:<queue> zset  lane -> when                   lanes with something to take later
-- P workers      zset   worker -> when its lease ends
-- P w:<worker>   hash   id -> lane                     what the worker holds
-- P now          string when the latest message came; the clock does not go back behind it
-- P back         hash   id -> how often it was taken back from a worker that died
local P = KEYS[1]
local call = redis.call

local function int(x) return string.format('%.0f', x) end

-- The server's clock, unless the caller brings one (tests do).
local function clock(given)
  if given and given ~= '' then return tonumber(given) end
  local t = call('TIME')
  local now, last = t[1] * 1000000 + t[2], tonumber(call('GET', P .. 'now') or 0)
  -- One that is set back by more than this was wrong before.
  return last > now and last - now < 60000000 and last or now
end

-- When the first of some messages comes, each one microsecond after the other: later than all that came before, so that a
-- clock which is set back, or another machine's after a failover, turns no order around. `clock` holds still meanwhile, so
-- nothing waits until that time has come again.
local function arrival(given, number)
  local now = clock(given)
  if not given or given == '' then now = now + 1 end
  call('SET', P .. 'now', int(now + number))
  return now
end

local function settings(lane)
  local v = call('HMGET', P .. 'l:' .. lane, 'q', 'c', 'rn', 'rp', 'paused', 'g', 'wait')
  return {q = v[1], c = tonumber(v[2] or 0), rn = tonumber(v[3] or 0), rp = tonumber(v[4] or 0),
          paused = v[5] and v[5] ~= '', g = tonumber(v[6] or 0), wait = tonumber(v[7] or 0)}
end

-- How many more may be in flight. A gated lane lets up to `g` out at once, and the next when all of them are settled: what
-- is taken together is taken in order, and nothing overtakes it.
local function room(lane, s)
  local flying = (s.c > 0 or s.g > 0) and call('HLEN', P .. 'f:' .. lane) or 0
  if s.g > 0 then return flying == 0 and s.g or 0 end
  return s.c > 0 and s.c - flying or math.huge
end

local rung = {}
-- Says when it rings: who has looked since need not be woken.
local function ring(queue, now)
  if not rung[queue] then
    rung[queue] = true
    call('PUBLISH', P .. 'bell:' .. queue, int(now))
  end
end

-- Puts the lane where it belongs: in rotation, on the timer, or nowhere. Every act on a lane ends with this.
local function touch(lane, now)
  local s = settings(lane)
  if not s.q then return end
  local at
  if not s.paused and room(lane, s) > 0 then
    local head = call('ZRANGE', P .. 'd:' .. lane, 0, 0, 'WITHSCORES')
    if head[1] then
      at = math.max(tonumber(head[2]), s.wait)
      if s.rn > 0 then
        local oldest = call('LINDEX', P .. 'r:' .. lane, -s.rn)
        if oldest then at = math.max(at, tonumber(oldest) + s.rp) end
      end
    end
  end
  local ready, timer = P .. 'ready:' .. s.q, P .. 'timer:' .. s.q
  if not at then
    call('ZREM', ready, lane)
    call('ZREM', timer, lane)
  elseif at <= now then
    call('ZREM', timer, lane)
    if not call('ZSCORE', ready, lane) then
      call('ZADD', ready, call('INCR', P .. 'turn'), lane)
      ring(s.q, now)
    end
  else
    call('ZREM', ready, lane)
    local first = call('ZRANGE', timer, 0, 0, 'WITHSCORES')
    call('ZADD', timer, int(at), lane)
    -- Sleepers wait until the first timer: an earlier one has to be heard of.
    if not first[1] or at < tonumber(first[2]) then ring(s.q, now) end
  end
end

local function known(queue, lane)
  if call('HSETNX', P .. 'l:' .. lane, 'q', queue) == 1 then call('SADD', P .. 'lanes', lane) end
end

-- A place in the order of a key, for a message that may come later; 1 where it is new.
local function reserve(queue, lane, id, order_key)
  known(queue, lane)
  if call('HSETNX', P .. 'o:' .. lane, id, order_key) == 0 then return 0 end
  call('RPUSH', P .. 'k:' .. lane .. ':' .. order_key, id)
  return 1
end

-- A new message. 0 where one of this id waits or is in flight already. The caller touches the lane.
local function put(queue, lane, id, payload, due, order_key)
  if call('HSETNX', P .. 'msg', id, payload) == 0 then return 0 end
  known(queue, lane)
  if order_key then
    reserve(queue, lane, id, order_key)
    if call('LINDEX', P .. 'k:' .. lane .. ':' .. order_key, 0) ~= id then
      call('HSET', P .. 'b:' .. lane, id, int(due))
      return 1
    end
  end
  call('ZADD', P .. 'd:' .. lane, int(due), id)
  return 1
end

local function holds(worker, lane, id)
  return call('HGET', P .. 'f:' .. lane, id) == worker
end

local function release(worker, lane, id)
  call('HDEL', P .. 'f:' .. lane, id)
  call('HDEL', P .. 'w:' .. worker, id)
end

-- It has no place in the order of its key any more; the next may go. The caller touches the lane.
local function give_place(lane, id)
  local key = call('HGET', P .. 'o:' .. lane, id)
  if not key then return end
  call('HDEL', P .. 'o:' .. lane, id)
  local list = P .. 'k:' .. lane .. ':' .. key
  local was_first = call('LINDEX', list, 0) == id
  call('LREM', list, 1, id)
  if not was_first then
    call('HDEL', P .. 'b:' .. lane, id)
    return
  end
  local next_id = call('LINDEX', list, 0)
  local due = next_id and call('HGET', P .. 'b:' .. lane, next_id)
  -- Without a due it only holds its place: it goes by itself when its message comes.
  if due then
    call('HDEL', P .. 'b:' .. lane, next_id)
    call('ZADD', P .. 'd:' .. lane, due, next_id)
  end
end

-- The message leaves for good; the next of its order key may go. The caller touches the lane.
local function finish(lane, id)
  call('HDEL', P .. 'msg', id)
  call('HDEL', P .. 'back', id)
  give_place(lane, id)
end

-- When a message that was only given back is due: in a gated lane before all that came after it, and among its like in the
-- order of the ids.
local function again(lane, now)
  return settings(lane).g > 0 and 1 or now
end

-- A message in flight waits again. In an ordered lane it stays the first of its key, so its followers wait with it.
local function put_back(worker, lane, id, due)
  release(worker, lane, id)
  call('ZADD', P .. 'd:' .. lane, int(due), id)
end

-- A message that waits leaves for good. 0 where it is in flight or unknown.
local function drop(lane, id)
  if call('HEXISTS', P .. 'msg', id) == 0 or call('HEXISTS', P .. 'f:' .. lane, id) == 1 then return 0 end
  call('ZREM', P .. 'd:' .. lane, id)
  finish(lane, id)
  return 1
end

local function pause(lane, state, reason)
  call('HSET', P .. 'l:' .. lane, 'paused', state, 'reason', reason)
end

-- What was held when workers died more than once comes back spread over a while: the one that kills them comes without
-- those that were only there with it.
local function spread(id, times)
  if times < 2 then return 0 end
  return (times - 1) * 5000000 * tonumber(string.sub(redis.sha1hex(id .. times), 1, 4), 16) / 65536
end

-- `counts`: '1' where the worker died, '0' where it ended in order.
local function take_back(worker, now, counts)
  local held = call('HGETALL', P .. 'w:' .. worker)
  local lanes = {}
  for i = 1, #held, 2 do
    local id, lane = held[i], held[i + 1]
    if holds(worker, lane, id) then
      local times = counts == '1' and call('HINCRBY', P .. 'back', id, 1) or 0
      put_back(worker, lane, id, again(lane, math.floor(now + spread(id, times))))
      lanes[lane] = true
    end
  end
  call('DEL', P .. 'w:' .. worker)
  call('ZREM', P .. 'workers', worker)
  for lane in pairs(lanes) do touch(lane, now) end
  return #held / 2
end
