-- Writes the deliveries of an event, queues those that may go, and acknowledges the routing, in one act.
-- ARGV: now, worker, lane and id of the routing message, event, its type, its new status, again ('1' = a replay), how many
-- recipes passed it over without a delivery each, which they are (packed; '' = it stays as it was), then for each delivery, after those it waits for: id, recipe, version, step, item, connection, status, summary, cause, what it
-- waits for (deliveries and groups), successors (of a group: on its first item, behind a '='), queue, lane, payload ('' = nothing to queue), order key ('' = none, else
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
local again = ARGV[8] == '1'
local routed, dropped = {}, {}
for i = 11, #ARGV, WORDS do routed[ARGV[i]] = true end
for i = 11, #ARGV, WORDS do
  local id, status, payload, successors, group = ARGV[i], ARGV[i + 6], ARGV[i + 13], ARGV[i + 10], ARGV[i + 17]
  local d = R .. 'd:' .. id
  local is_new = call('HSETNX', d, 'ev', event) == 1
  -- Routed twice is made once; a replay runs again what isn't under way, and lets go what waits for predecessors, since
  -- those may be others now; a letter that is routed resolves itself.
  local v = call('HMGET', d, 'status', 'msg')
  local old, blocked = v[1], v[2]
  local runs = is_new or id == message or (again and ((ended(old) and old ~= 'discarded') or old == 'dead' or blocked))
  if again then
    -- Successors that the recipe has no more would wait for ever.
    for successor in each(call('HGET', d, 'nx') or '') do dropped[successor] = not routed[successor] or nil end
    for successor in each(group ~= '' and call('HGET', R .. 'g:' .. group, 'nx') or '') do
      dropped[successor] = not routed[successor] or nil
    end
    -- A step that ran once runs once per item now, or the other way round.
    if group ~= '' then call('HDEL', R .. 'd:' .. group, 'nx') else call('DEL', R .. 'g:' .. id) end
  end
  if group ~= '' then
    if string.sub(successors, 1, 1) == '=' then
      call('HSET', R .. 'g:' .. group, 'nx', string.sub(successors, 2))
    else
      call('HSETNX', R .. 'g:' .. group, 'nx', '')
    end
    if runs and ended(status) then
      call('HDEL', R .. 'g:' .. group, id)
    elseif runs then
      call('HSET', R .. 'g:' .. group, id, '')
    end
    successors = ''
  end
  local order_key = ARGV[i + 14] ~= '' and string.sub(ARGV[i + 14], 2)
  if runs then
    if blocked then
      call('HDEL', d, 'msg')
      local place = call('HGET', d, 'lane')
      if place ~= ARGV[i + 12] or call('HGET', P .. 'o:' .. place, id) ~= order_key then
        give_place(place, id)
        lanes[place] = true
      end
    end
    -- The destination has it: a second one is meant, and must not be taken for a repeat.
    if old == 'delivered' then call('HSET', d, 'ik', call('HINCRBY', d, 'rp', 1)) end
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
    if order_key then call('HSET', d, 'ok', order_key) else call('HDEL', d, 'ok') end
    if payload ~= '' then
      local batch = ARGV[i + 18]
      if need > 0 then
        call('HSET', d, 'msg', payload, 'bj', batch)
        if order_key then reserve(ARGV[i + 11], ARGV[i + 12], id, order_key) end
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
-- With what waits for them in turn: those that the recipe still has wait for others now.
local drop_step
drop_step = function(id)
  local d = R .. 'd:' .. id
  local v = call('HMGET', d, 'msg', 'lane', 'st', 'nx')
  if routed[id] or not v[1] then return end
  call('HDEL', d, 'msg')
  give_place(v[2], id)
  lanes[v[2]] = true
  mark(id, 'skipped', now_ms, 'the recipe has no step ' .. v[3] .. ' any more', 'step missing')
  for successor in each(v[4]) do drop_step(successor) end
end
for id in pairs(dropped) do drop_step(id) end
if #made > 0 then
  local ds = call('HGET', key, 'ds') or ''
  call('HSET', key, 'ds', ds .. (ds == '' and '' or ',') .. table.concat(made, ','))
end
if ARGV[10] ~= '' then
  call('HSET', key, 'no', ARGV[10])
  call('HINCRBY', R .. 'stats', 'skipped:', ARGV[9])
end
-- A caught event is open by one until it has been routed itself, not a letter of it.
if message == event or before ~= 'caught' then call('HSET', key, 'st', ARGV[7], 'ty', ARGV[6]) end
if message == event and before == 'caught' then event_closes(event, 1, now_ms) end
for touched in pairs(lanes) do touch(touched, now + #made + 1) end
return 1
