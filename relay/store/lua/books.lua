-- Looks whether what is kept agrees with its indexes, its tallies and the lanes, and mends what doesn't. Every act leaves them
-- in agreement, so that an act sees no work in progress, and whatever disagrees stays so.
-- ARGV: now, '1' = mend, what to look at, where (an index, a lane; '' = nowhere), the queue of that lane, id, …
-- Returns four words a fault: which of the ids was looked at, its kind, whose it is, what is wrong.
local now, mend, what, where, queue = clock(ARGV[1]), ARGV[2] == '1', ARGV[3], ARGV[4], ARGV[5]
local now_ms = int(math.floor(now / 1000))
local found, looked_at = {}, nil

local function fault(kind, id, about)
  for _, word in ipairs({looked_at, kind, id, about}) do found[#found + 1] = word end
end

local function is_queued(id)
  return call('HEXISTS', P .. 'msg', id) == 1
end

-- Puts an id into an index, or takes it out.
local function list(index, id, score)
  if score then call('ZADD', R .. index, score, id) else call('ZREM', R .. index, id) end
end

local looks = {}

-- Ids of an index.
function looks.index(id)
  local is_event = string.sub(where, 1, 3) == 'x:e' or where == 'x:done'
  if call('EXISTS', R .. (is_event and 'e:' or 'd:') .. id) == 0 then
    fault('index', id, where .. ' lists it, and it is not there')
    if mend then list(where, id) end
  end
end

function looks.event(id)
  local key = R .. 'e:' .. id
  local v = call('HMGET', key, 'so', 'st', 'open', 'ds', 'sw')
  local source, status, ended_at = v[1], v[2], call('ZSCORE', R .. 'x:done', id)
  -- Gone meanwhile; or being forgotten, in more than one act.
  if not source or (v[5] and ended_at and tonumber(v[5]) == tonumber(ended_at)) then return end
  if not call('ZSCORE', R .. 'x:e', id) or not call('ZSCORE', R .. 'x:e:' .. source, id) then
    fault('unlisted event', id, 'no list of events has it')
  end
  if status == 'handshake' then return end
  local open, kept, lost = status == 'caught' and 1 or 0, {}, 0
  for delivery in each(v[4]) do
    local its = call('HGET', R .. 'd:' .. delivery, 'status')
    if its then kept[#kept + 1] = delivery else lost = lost + 1 end
    if its and not ended(its) then open = open + 1 end
  end
  if lost > 0 then
    fault('delivery', id, lost .. ' of its deliveries are not there')
    if mend then call('HSET', key, 'ds', table.concat(kept, ',')) end
  end
  if tonumber(v[3] or 0) ~= open then
    fault('tally', id, 'it counts ' .. (v[3] or 'no') .. ' open deliveries, and there are ' .. open)
    if mend then call('HSET', key, 'open', open) end
  end
  if (open == 0) ~= (ended_at and true or false) then
    fault('end', id, open == 0 and 'it has ended, and would be kept for ever' or 'it would be forgotten before it has ended')
    if mend then list('x:done', id, open == 0 and now_ms) end
  end
  if status == 'caught' and not is_queued(id) then fault('unrouted', id, 'it waits to be routed, and no lane has it') end
end

-- Whether nothing that a delivery waits for is open. Items of a group are looked at with their group.
local function waits_in_vain(key)
  for _, need in pairs(cjson.decode(call('HGET', key, 'ne') or '{}')) do
    if type(need) ~= 'string' or is_open(need) then return false end
  end
  return true
end

local function waiting(id, key, v)
  local lane = v[4]
  if v[3] then
    if waits_in_vain(key) then
      fault('stuck', id, 'it waits for what has ended')
      if mend then
        local m = call('HMGET', key, 'q', 'bj', 'ok')
        call('HDEL', key, 'msg')
        call('HSET', key, 'need', 0)
        go(id, m[1], lane, v[3], now, m[2], m[3])
        touch(lane, now)
      end
    end
    return
  end
  local stands, batch = in_lane(id)
  local in_batch = stands == id or call('LPOS', R .. 'br:' .. batch, id)
  if is_queued(stands) and in_batch then return end
  fault('stranded', id, 'it waits for its turn, and no lane has it')
  if not mend then return end
  -- Whoever runs it again finds it as one that waits for nothing.
  call('HSET', key, 'need', 0)
  call('HDEL', key, 'bt')
  if in_batch and stands ~= id then call('DEL', R .. 'bt:' .. stands, R .. 'br:' .. stands) end
end

function looks.delivery(id)
  local key = R .. 'd:' .. id
  local v = call('HMGET', key, 'ev', 'status', 'msg', 'lane', 'at', 'end', 'gr')
  local event, status = v[1], v[2]
  if not event then return end
  local ids = call('HGET', R .. 'e:' .. event, 'ds')
  if not ids and call('EXISTS', R .. 'e:' .. event) == 0 then
    fault('orphan', id, 'its event ' .. event .. ' is not there')
    if mend then
      leave_batch(id)
      if v[4] and drop(v[4], id) == 0 then give_place(v[4], id) end
      if v[4] then touch(v[4], now) end
      if v[7] then call('UNLINK', R .. 'g:' .. v[7]) end
      call('UNLINK', key)
      list('x:d', id)
      list('x:dead', id)
    end
    return
  end
  if not string.find(ids or '', id, 1, true) then
    fault('unlisted', id, 'its event ' .. event .. ' does not list it')
    if mend then
      call('HSET', R .. 'e:' .. event, 'ds', (ids and ids ~= '' and ids .. ',' or '') .. id)
      looks.event(event)
    end
  end
  if not call('ZSCORE', R .. 'x:d', id) then
    fault('index', id, 'x:d does not list it')
    if mend then list('x:d', id, v[5] or now_ms) end
  end
  if (status == 'dead') ~= (call('ZSCORE', R .. 'x:dead', id) and true or false) then
    fault('index', id, status == 'dead' and 'x:dead does not list it' or 'x:dead lists it, and it is ' .. status)
    if mend then list('x:dead', id, status == 'dead' and (v[6] or now_ms)) end
  end
  if status == 'waiting' or status == 'retrying' then waiting(id, key, v) end
end

function looks.group(id)
  local key = R .. 'g:' .. id
  local successors = call('HGET', key, 'nx')
  for _, item in ipairs(call('HKEYS', key)) do
    local status = item ~= 'nx' and call('HGET', R .. 'd:' .. item, 'status')
    if item ~= 'nx' and (not status or ended(status)) then
      fault('group', item, 'it has ended, and its group waits for it')
      if mend then call('HDEL', key, item) end
    end
  end
  if call('HLEN', key) > 1 then return end
  for successor in each(successors) do
    local s = call('HMGET', R .. 'd:' .. successor, 'status', 'msg', 'oks')
    if s[1] == 'waiting' and s[2] and not string.find(s[3] or '', id, 1, true) then
      fault('stuck', successor, 'it waits for items that have all ended')
      if mend then let_go(successor, id, now) end
    end
  end
end

-- Which step's: its open batch.
function looks.batch(step)
  local batch = call('HGET', R .. 'batches', step)
  if batch and not is_queued(batch) then
    fault('batch', step, 'its open batch ' .. batch .. ' is in no lane, and rows would join it')
    if mend then call('HDEL', R .. 'batches', step) end
  end
end

-- A lane: what is in flight, and whether the lane is where workers look for it.
function looks.lane(lane)
  if call('SISMEMBER', P .. 'lanes', lane) == 0 then
    fault('lane', lane, 'no list of lanes has it')
    if mend then call('SADD', P .. 'lanes', lane) end
  end
  local flying, mended = call('HGETALL', P .. 'f:' .. lane), false
  for i = 1, #flying, 2 do
    local id, worker = flying[i], flying[i + 1]
    local why, act
    if not is_queued(id) then
      why, act = 'and has no message', function()
        release(worker, lane, id)
        finish(lane, id)
      end
    elseif call('HGET', P .. 'w:' .. worker, id) ~= lane then
      why, act = 'and ' .. worker .. ' does not hold it', function() put_back(worker, lane, id, now) end
    elseif not call('ZSCORE', P .. 'workers', worker) then
      why = 'and nobody would take it back from ' .. worker
      act = function() take_back(worker, now, '1') end
    end
    if why then fault('slot', id, 'it takes a place in ' .. lane .. ', ' .. why) end
    if why and mend then
      act()
      mended = true
    end
  end
  if mended then return touch(lane, now) end
  local s = settings(lane)
  if s.q and not s.paused and room(lane, s) > 0 and first_due(lane)
     and not call('ZSCORE', P .. 'ready:' .. s.q, lane) and not call('ZSCORE', P .. 'timer:' .. s.q, lane) then
    fault('asleep', lane, 'messages wait in it, and no worker looks there')
    if mend then touch(lane, now) end
  end
end

local WAITING = {'d:', 't:'}

-- Where a message stands in its lane.
local function stands_in(lane, id)
  local places = {}
  if call('HEXISTS', P .. 'f:' .. lane, id) == 1 then places[#places + 1] = 'f:' end
  for _, name in ipairs(WAITING) do
    if call('ZSCORE', P .. name .. lane, id) then places[#places + 1] = name end
  end
  if call('HEXISTS', P .. 'b:' .. lane, id) == 1 then places[#places + 1] = 'b:' end
  return places
end

-- One that stands behind another of its order, which has to be there.
local function behind(lane, id)
  local list = P .. 'k:' .. lane .. ':' .. (call('HGET', P .. 'o:' .. lane, id) or '')
  local first = call('LINDEX', list, 0)
  if first and first ~= id and call('HEXISTS', P .. 'o:' .. lane, first) == 1 then return end
  fault('place', id, 'it stands in ' .. lane .. ' behind one of its order that is not there')
  if not mend then return end
  while first and first ~= id and call('HEXISTS', P .. 'o:' .. lane, first) == 0 do
    call('LPOP', list)
    first = call('LINDEX', list, 0)
  end
  if not first or first == id then
    call('ZADD', P .. 'd:' .. lane, call('HGET', P .. 'b:' .. lane, id), id)
    call('HDEL', P .. 'b:' .. lane, id)
  end
  touch(lane, now)
end

-- Ids that wait in a lane.
function looks.waiting(id)
  local places = stands_in(where, id)
  if #places > 0 and not is_queued(id) then
    fault('hollow', id, 'it waits in ' .. where .. ', and has no message')
    if mend then
      for _, name in ipairs(WAITING) do call('ZREM', P .. name .. where, id) end
      finish(where, id)
      touch(where, now)
    end
  elseif #places > 1 then
    fault('double', id, 'it stands in ' .. where .. ' more than once')
    if mend then
      for i = 2, #places do
        call(places[i] == 'b:' and 'HDEL' or 'ZREM', P .. places[i] .. where, id)
      end
      touch(where, now)
    end
  elseif places[1] == 'b:' then
    behind(where, id)
  end
end

-- Ids that hold a place in the order of a lane.
function looks.place(id)
  if call('HEXISTS', P .. 'o:' .. where, id) == 0 then return end
  if not is_queued(id) and call('HEXISTS', R .. 'd:' .. id, 'msg') == 0 then
    fault('place', id, 'it holds up its order in ' .. where .. ', and does not come')
    if mend then
      give_place(where, id)
      touch(where, now)
    end
  end
end

-- Ids of messages of one lane.
function looks.message(id)
  if is_queued(id) and #stands_in(where, id) == 0 then
    fault('astray', id, 'it belongs to ' .. where .. ', and does not stand there')
    if mend then
      known(queue, where)
      local order_key = call('HGET', P .. 'o:' .. where, id)
      local first = order_key and call('LINDEX', P .. 'k:' .. where .. ':' .. order_key, 0)
      if first and first ~= id then
        call('HSET', P .. 'b:' .. where, id, int(now))
      else
        call('ZADD', P .. 'd:' .. where, int(now), id)
      end
      touch(where, now)
    end
  end
end

for i = 6, #ARGV do
  looked_at = ARGV[i]
  looks[what](ARGV[i])
end
return found
