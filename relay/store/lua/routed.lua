-- Writes the deliveries of an event, queues those that may go, and acknowledges the routing, in one act.
-- ARGV: now, worker, lane and id of the routing message, event, its type, its new status, again ('1' = a replay), then
-- for each delivery, after those it waits for: id, recipe, version, step, item, connection, status, summary, cause, what it
-- waits for (deliveries and groups), successors, queue, lane, payload ('' = nothing to queue), order key ('' = none, else
-- '=' and it), the letter whose edits it uses, its predecessors by step (JSON), the group it is an item of, its batch (JSON)
-- Returns 1, or 0 where the worker no longer held the message and nothing was written.
local now, worker, lane, message, event = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if not holds(worker, lane, message) then return 0 end
local now_ms = math.floor(now / 1000)
local key = R .. 'e:' .. event
local made, lanes = {}, {[lane] = true}
-- First of all: a letter may go into a lane again under its own id.
release(worker, lane, message)
finish(lane, message)
local before = call('HGET', key, 'st')
if not before then
  -- Nobody keeps the event any more.
  touch(lane, now)
  return 1
end
local WORDS = 19
for i = 9, #ARGV, WORDS do
  local id, status, payload, successors, group = ARGV[i], ARGV[i + 6], ARGV[i + 13], ARGV[i + 10], ARGV[i + 17]
  local d = R .. 'd:' .. id
  local is_new = call('HSETNX', d, 'ev', event) == 1
  -- Routed twice is made once; a replay runs again what isn't under way, and lets go what waits for predecessors, since
  -- those may be others now; a letter that is routed resolves itself.
  local v = call('HMGET', d, 'status', 'msg')
  local old, blocked = v[1], v[2]
  local runs = is_new or id == message or (ARGV[8] == '1' and ((ended(old) and old ~= 'discarded') or old == 'dead' or blocked))
  if group ~= '' then
    -- The first item brings the successors of them all.
    call(successors ~= '' and 'HSET' or 'HSETNX', R .. 'g:' .. group, 'nx', successors)
    if runs and not ended(status) then call('HSET', R .. 'g:' .. group, id, '') end
    successors = ''
  end
  if runs then
    if blocked then call('HDEL', d, 'msg') end
    if is_new then
      made[#made + 1] = id
      call('ZADD', R .. 'x:d', now_ms, id)
      call('HSET', d, 'at', now_ms)
      -- Counted as open here; `mark` closes it where it has ended already.
      event_opens(event, 1)
    end
    -- What is discarded, or was routed before and is under way, has its own end: only what has none yet is waited for.
    local need = 0
    for predecessor in each(ARGV[i + 9]) do
      if is_open(predecessor) then need = need + 1 end
    end
    call('HSET', d, 're', ARGV[i + 1], 'ver', ARGV[i + 2], 'st', ARGV[i + 3], 'em', ARGV[i + 4], 'co', ARGV[i + 5],
         'need', need, 'nx', successors, 'oks', '', 'n', 0, 'q', ARGV[i + 11], 'lane', ARGV[i + 12], 'ed', ARGV[i + 15], 'ne', ARGV[i + 16])
    if group ~= '' then call('HSET', d, 'gr', group) end
    mark(id, status, now_ms, ARGV[i + 7], ARGV[i + 8])
    if payload ~= '' then
      local order_key = ARGV[i + 14] ~= '' and string.sub(ARGV[i + 14], 2)
      local batch = ARGV[i + 18]
      if need > 0 then
        call('HSET', d, 'msg', payload, 'bj', batch)
        if order_key then
          call('HSET', d, 'ok', order_key)
          reserve(ARGV[i + 11], ARGV[i + 12], id, order_key)
        end
      else
        -- One microsecond apart keeps the deliveries of one event in their order.
        go(id, ARGV[i + 11], ARGV[i + 12], payload, now + #made, batch, order_key)
        lanes[ARGV[i + 12]] = true
      end
    end
  elseif not ended(old) then
    -- It goes on as it is, and lets go those that wait for it now.
    call('HSET', d, 'nx', successors)
  end
end
if #made > 0 then
  local ds = call('HGET', key, 'ds') or ''
  call('HSET', key, 'ds', ds .. (ds == '' and '' or ',') .. table.concat(made, ','))
end
-- A caught event is open by one until it has been routed itself, not a letter of it.
if message == event or before ~= 'caught' then call('HSET', key, 'st', ARGV[7], 'ty', ARGV[6]) end
if message == event and before == 'caught' then event_closes(event, 1, now_ms) end
for touched in pairs(lanes) do touch(touched, now + #made + 1) end
return 1
