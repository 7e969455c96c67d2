-- The store's own functions, after those of the lanes: an outcome and the move of its message are one act.
--
-- KEYS[2]  the prefix, written R below. Times are milliseconds since 1970, `now` the lanes' microseconds.
--
-- R e:<event>      hash  x packed request, so source, st status, ty type, ds delivery ids (,a,b), open how many
--                        have not ended, rs = 1 where a sender waits for them, sw = its score in x:done while it is
--                        being forgotten, which may take more than one act
--                        no the recipes that passed it over, packed, where they were too many for a delivery each
-- R d:<delivery>   hash  ev re ver st em co: event, recipe, version, step, item, connection; status, at, end;
--                        su summary, ca cause, n attempts of this run, an attempts in all, a:<k> the k-th;
--                        sv saved values, ne predecessors by step, nx successors (,a,b), need how many predecessors are
--                        open, oks those that have ended; gr the group it is an item of; q lane msg: its message while it
--                        waits for predecessors, with bj its batch and ok its order key; bt the batch it is in; due of the
--                        next attempt;
--                        rp replays, ik the replay that began after it had been delivered; edits, edit:<k> and eb:<k>: who and when, and the body they wrote;
--                        ed the letter whose edits it uses
-- R g:<group>      hash  a step that runs once per item: nx successors of the whole, and each item that has not ended
-- R bt:<batch>     hash  k which step's, lane, opened and closed (ms), ver the recipe's version it was closed with, n attempts,
--                        now = 1 where it goes at once
-- R br:<batch>     list  its rows' deliveries              R batches  hash  step -> its open batch
-- R u:<source>:<key>  string  the event that came with this key; expires with the duplicates window
-- R sm:<source>    hash  by the mark of a secret: how often it matched, and <mark>:at when it did last (ms)
-- R hs:<source>    list  its vendor's latest questions: handshakes
-- R ks:<source>    zset  secrets that the vendor gave, by last use                R rejected  stream  requests that were refused
-- R x:e  x:e:<source> x:d  zset  by time caught or made          R x:dead  zset  by time of death
-- R x:done         zset  events all of whose deliveries have ended, by when
-- R stats          hash  counters                                R audit   stream  who did what
local R = KEYS[2]

local function ended(status)
  return status == 'delivered' or status == 'skipped' or status == 'discarded'
end

local function count(what, connection)
  call('HINCRBY', R .. 'stats', what .. ':' .. connection, 1)
end

local function event_closes(event, by, now_ms)
  local open = call('HINCRBY', R .. 'e:' .. event, 'open', -by)
  if open <= 0 then call('ZADD', R .. 'x:done', int(now_ms), event) end
end

local function event_opens(event, by)
  call('HINCRBY', R .. 'e:' .. event, 'open', by)
  call('ZREM', R .. 'x:done', event)
end

-- Every change of a delivery's status goes through here: indexes, counters and the event's tally follow.
local function mark(id, status, now_ms, summary, cause)
  local key = R .. 'd:' .. id
  local v = call('HMGET', key, 'status', 'ev', 'co')
  local old, event, connection = v[1], v[2], v[3] or ''
  if not event then return end
  call('HSET', key, 'status', status, 'su', summary, 'ca', cause, 'end', int(now_ms))
  if status == 'dead' then
    call('ZADD', R .. 'x:dead', int(now_ms), id)
  elseif old == 'dead' then
    call('ZREM', R .. 'x:dead', id)
  end
  if status ~= old then count(status, connection) end
  -- A web process may keep its sender waiting for this.
  if (ended(status) or status == 'dead') and call('HEXISTS', R .. 'e:' .. event, 'rs') == 1 then
    call('PUBLISH', R .. 'answers', event)
  end
  if ended(status) and not ended(old) then
    event_closes(event, 1, now_ms)
  elseif ended(old) and not ended(status) then
    event_opens(event, 1)
  end
end

-- As JSON spells it: nothing that a person names can be like it.
local BATCH_ID = '\\u0000batch\\u0000'

-- A row joins the open batch of its step, or opens one. `how`: {k which step's, max rows, every µs (0 = none), at µs}; the
-- payload is the batch's message, with a mark where its id goes.
local function join(id, how, queue, lane, payload, now)
  local batch = call('HGET', R .. 'batches', how.k)
  if not batch then
    -- Never the same again, even in a store that begins anew: destinations know a call by it.
    batch = 'bat_' .. string.sub(redis.sha1hex(id .. int(now) .. (call('HGET', R .. 'd:' .. id, 'n') or '')), 1, 24)
    call('HSET', R .. 'batches', how.k, batch)
    call('HSET', R .. 'bt:' .. batch, 'k', how.k, 'lane', lane, 'opened', int(math.floor(now / 1000)))
    local due = how.every > 0 and now + how.every or math.max(now, how.at)
    put(queue, lane, batch, (string.gsub(payload, BATCH_ID, batch)), due, false)
  end
  call('HSET', R .. 'd:' .. id, 'bt', batch)
  if call('RPUSH', R .. 'br:' .. batch, id) >= how.max then
    call('HDEL', R .. 'batches', how.k)
    call('HSET', R .. 'bt:' .. batch, 'now', 1)
    make_due(lane, batch, now)
  end
end

-- What stands in the lane for a delivery: its batch, or itself.
local function in_lane(id)
  local batch = call('HGET', R .. 'd:' .. id, 'bt')
  return batch and call('EXISTS', R .. 'bt:' .. batch) == 1 and batch or id, batch
end

-- A row is in its batch no more.
local function leave_batch(id)
  local batch = call('HGET', R .. 'd:' .. id, 'bt')
  if not batch then return end
  call('HDEL', R .. 'd:' .. id, 'bt')
  call('LREM', R .. 'br:' .. batch, 0, id)
end

-- Into its lane, or into its batch (JSON; '' = none). The caller touches the lane.
local function go(id, queue, lane, payload, now, batch, order_key)
  if batch and batch ~= '' then
    join(id, cjson.decode(batch), queue, lane, payload, now)
  else
    put(queue, lane, id, payload, now, order_key)
  end
end

local function each(list)
  return string.gmatch(list or '', '[^,]+')
end

-- A delivery or group has ended: of those that wait for it, who waits for no other goes.
local function let_go(successors, done, now)
  for successor in each(successors) do
    local key = R .. 'd:' .. successor
    local v = call('HMGET', key, 'status', 'q', 'lane', 'msg', 'oks', 'bj', 'ok')
    local oks = v[5] or ''
    if not string.find(oks, done, 1, true) then
      call('HSET', key, 'oks', oks .. done .. ',')
      if call('HINCRBY', key, 'need', -1) <= 0 and v[1] == 'waiting' and v[4] then
        call('HDEL', key, 'msg')
        go(successor, v[2], v[3], v[4], now, v[6], v[7])
        touch(v[3], now)
      end
    end
  end
end

-- A predecessor, or an item of one, has ended.
local function proceed(id, now)
  local d = call('HMGET', R .. 'd:' .. id, 'nx', 'gr')
  if not d[2] then return let_go(d[1], id, now) end
  local group = R .. 'g:' .. d[2]
  if call('HDEL', group, id) == 1 and call('HLEN', group) == 1 then let_go(call('HGET', group, 'nx'), d[2], now) end
end

-- Whether a predecessor, or some item of one, has yet to end.
local function is_open(id)
  local items = call('HLEN', R .. 'g:' .. id)
  if items > 0 then return items > 1 end
  local status = call('HGET', R .. 'd:' .. id, 'status')
  return status and not ended(status)
end

-- A dead letter may stay for days: what waits for it doesn't hold up others of its order key meanwhile.
local give_places
give_places = function(id, now)
  local d = call('HMGET', R .. 'd:' .. id, 'nx', 'gr')
  local successors = d[2] and call('HGET', R .. 'g:' .. d[2], 'nx') or d[1]
  for successor in each(successors) do
    local v = call('HMGET', R .. 'd:' .. successor, 'msg', 'lane')
    if v[1] then
      give_place(v[2], successor)
      touch(v[2], now)
      give_places(successor, now)
    end
  end
end
