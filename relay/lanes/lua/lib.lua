-- The lanes' own functions. Every script of the lanes begins with this text, and so may a script of somebody else
-- that wants to move messages in the same atomic act as data of its own.
--
-- KEYS[1]  the prefix, written P below. Times are microseconds since 1970: an integer that a score holds exactly.
--
-- P msg          hash   id -> payload                  every message that waits or is in flight
-- P lanes        set    the lanes there are
-- P l:<lane>     hash   q queue, c concurrency, rn and rp rate (rn in rp µs), g gate, wait until when nothing is given,
--                       paused, reason, since (µs); yc yn yp the limits that configure gave and oc on op by those that an
--                       operator set in their place, with how; turn which of d: and t: goes next;
--                       the breaker's: see `observe`
-- P d:<lane>     zset   id -> due                      waiting
-- P t:<lane>     zset   id -> due                      waiting, tried before
-- P f:<lane>     hash   id -> worker                   in flight
-- P u:<lane>     set    ids                            in flight, tried before
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
  local v = call('HMGET', P .. 'l:' .. lane, 'q', 'c', 'rn', 'rp', 'paused', 'g', 'wait', 'ramp')
  return {q = v[1], c = tonumber(v[2] or 0), rn = tonumber(v[3] or 0), rp = tonumber(v[4] or 0),
          paused = v[5] and v[5] ~= '', g = tonumber(v[6] or 0), wait = tonumber(v[7] or 0), ramp = tonumber(v[8] or 0)}
end

-- How many more may be in flight. A gated lane lets up to `g` out at once, and the next when all of them are settled: what
-- is taken together is taken in order, and nothing overtakes it.
local function room(lane, s)
  local flying = (s.c > 0 or s.g > 0 or s.ramp > 0) and call('HLEN', P .. 'f:' .. lane) or 0
  if s.g > 0 then return flying == 0 and s.g or 0 end
  local most = s.c > 0 and s.c or math.huge
  if s.ramp > 0 then most = math.min(most, s.ramp) end
  return most - flying
end

-- When the first that waits is due; nil where nothing does.
local function first_due(lane)
  local first = call('ZRANGE', P .. 'd:' .. lane, 0, 0, 'WITHSCORES')[2]
  local tried = call('ZRANGE', P .. 't:' .. lane, 0, 0, 'WITHSCORES')[2]
  if not tried then return first and tonumber(first) end
  return first and math.min(tonumber(first), tonumber(tried)) or tonumber(tried)
end

-- Makes a message that waits due at another time; false where it doesn't wait (or waits behind another of its key).
local function make_due(lane, id, due)
  for _, waiting in ipairs({P .. 'd:' .. lane, P .. 't:' .. lane}) do
    if call('ZSCORE', waiting, id) then
      call('ZADD', waiting, int(due), id)
      return true
    end
  end
  return false
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
    local head = first_due(lane)
    if head then
      at = math.max(head, s.wait)
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
  call('SREM', P .. 'u:' .. lane, id)
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
-- `tried`: it waits among those tried before, which share the lane with those that come to it for the first time.
local function put_back(worker, lane, id, due, tried)
  release(worker, lane, id)
  call('ZADD', P .. (tried and 't:' or 'd:') .. lane, int(due), id)
end

-- A message that waits leaves for good. 0 where it is in flight or unknown.
local function drop(lane, id)
  if call('HEXISTS', P .. 'msg', id) == 0 or call('HEXISTS', P .. 'f:' .. lane, id) == 1 then return 0 end
  if call('ZREM', P .. 'd:' .. lane, id) == 0 then call('ZREM', P .. 't:' .. lane, id) end
  finish(lane, id)
  return 1
end

local function pause(lane, state, reason, now)
  call('HSET', P .. 'l:' .. lane, 'paused', state, 'reason', reason, 'since', int(now))
end

-- The limits in force: an operator's where there are any, else those that configure gave.
local function set_limits(lane)
  local key = P .. 'l:' .. lane
  local v = call('HMGET', key, 'oc', 'on', 'op', 'yc', 'yn', 'yp')
  call('HSET', key, 'c', v[1] or v[4] or 0, 'rn', v[2] or v[5] or 0, 'rp', v[2] and v[3] or v[6] or 0)
end

-- The breaker. What attempts say of the destination is counted from the first that failed; the lane opens when of at least
-- `bl` attempts within `bw` µs (0 = no breaker) `bs` percent failed. Then nothing is given for `bc` µs, twice as long each
-- time that it opens again before it was whole, up to `bm`; then one goes out to probe. When it comes through, `ramp` of them
-- may be in flight at once, one more for each that comes through, until the lane's concurrency is reached: it is whole.
--
-- Further fields of P l:<lane>: bn and bf how many were counted and how many of them failed, bt since when; br 1 while it is
-- open or probes, bsince since when (µs), why; trips how often it opened since it was whole; ramp (0 = no bound)
local BREAKER = {'bl', 'bn', 'ramp', 'br', 'bf', 'bt', 'bs', 'bw', 'bc', 'bm', 'trips', 'wait', 'c', 'bsince'}

local function spread_of(text)
  return tonumber(string.sub(redis.sha1hex(text), 1, 4), 16) / 65536
end

local function open_breaker(lane, v, now, why)
  local key = P .. 'l:' .. lane
  local trips = tonumber(v[11] or 0) + 1
  local cool = math.min(v[9] * 2 ^ math.min(trips - 1, 30), v[10])
  -- Lanes that opened together don't probe together: up to a tenth longer.
  local wait = math.floor(now + cool * (1 + 0.1 * spread_of(lane .. trips)))
  call('HSET', key, 'br', 1, 'trips', trips, 'ramp', 1, 'wait', int(wait), 'why', why,
       'bsince', v[4] and v[14] or int(now))
  call('HDEL', key, 'bn', 'bf', 'bt')
  return {'opened', why, int(math.floor(wait / 1000)), trips}
end

-- Nothing is given until then, and one at first after it: the destination asked for it.
local function ask_to_wait(lane, until_when, why)
  call('HSET', P .. 'l:' .. lane, 'wait', int(until_when), 'ramp', 1, 'why', why)
end

-- What an attempt says of its destination: `health` is well, unwell, or '' for nothing; `asked` how many µs it wants to be
-- left alone (0 = none). The caller touches the lane. Returns nil, or {opened, why, until when (ms), trips} or {closed}.
local function observe(lane, health, asked, why, now)
  if health == '' and asked == 0 then return end
  local key = P .. 'l:' .. lane
  local v = call('HMGET', key, unpack(BREAKER))
  local least, n, ramp, probes = tonumber(v[1] or 0), tonumber(v[2] or 0), tonumber(v[3] or 0), v[4]
  if least == 0 then return end
  local wait = tonumber(v[12] or 0)
  -- What was under way when it opened says nothing new.
  if probes and wait > now then return end
  local news
  if health == 'well' then
    if probes then
      call('HDEL', key, 'br', 'bsince')
      news = {'closed'}
    end
    if ramp > 0 then
      local most = tonumber(v[13] or 0)
      if ramp + 1 < (most > 0 and most or 16) then
        call('HSET', key, 'ramp', ramp + 1)
      else
        call('HDEL', key, 'ramp', 'trips', 'why')
      end
    end
    if n > 0 then
      if now - tonumber(v[6]) > tonumber(v[8]) then
        call('HDEL', key, 'bn', 'bf', 'bt')
      else
        call('HINCRBY', key, 'bn', 1)
      end
    end
  elseif health == 'unwell' then
    if probes then
      news = open_breaker(lane, v, now, why)
    else
      local failed, since = tonumber(v[5] or 0), tonumber(v[6] or now)
      if n > 0 and now - since > tonumber(v[8]) then n, failed, since = 0, 0, now end
      n, failed = n + 1, failed + 1
      if n >= least and failed * 100 >= n * v[7] then
        news = open_breaker(lane, v, now, why)
      else
        -- What is long ago weighs less than what is new.
        if n >= least * 4 then n, failed = math.floor(n / 2), math.ceil(failed / 2) end
        call('HSET', key, 'bn', n, 'bf', failed, 'bt', int(since))
        if ramp > 1 then call('HSET', key, 'ramp', math.floor(ramp / 2)) end
      end
    end
  end
  if asked > 0 then
    local until_when = now + math.min(asked, tonumber(v[10]))
    if until_when > tonumber(call('HGET', key, 'wait') or 0) then ask_to_wait(lane, until_when, why) end
  end
  return news
end

-- It goes on after it was stopped: with one, as after a probe, for who knows how well the destination is.
local function begin_again(lane)
  local key = P .. 'l:' .. lane
  local v = call('HMGET', key, 'bl', 'why')
  if tonumber(v[1] or 0) > 0 then call('HSET', key, 'ramp', 1) end
  if v[2] then call('HDEL', key, 'wait') end
end

-- What was held when workers died more than once comes back spread over a while: the one that kills them comes without
-- those that were only there with it.
local function spread(id, times)
  if times < 2 then return 0 end
  return (times - 1) * 5000000 * spread_of(id .. times)
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
