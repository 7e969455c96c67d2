-- The store's own functions, after those of the lanes: an outcome and the move of its message are one act.
--
-- KEYS[2]  the prefix, written R below. Times are milliseconds since 1970, `now` the lanes' microseconds.
--
-- R e:<event>      hash  x packed request, so source, st status, ty type, ds delivery ids (,a,b), open how many have not ended
-- R d:<delivery>   hash  ev re ver st em co: event, recipe, version, step, item, connection; status, at, end;
--                        su summary, ca cause, n attempts of this run, an attempts in all, a:<k> the k-th;
--                        sv saved values, ne predecessors by step, nx successors (,a,b), need how many predecessors are open, oks those that have ended;
--                        q lane msg: its message while it waits for predecessors; due of the next attempt;
--                        rp replays, ik the replay that began after it had been delivered; edits, edit:<k> and eb:<k>: who and when, and the body they wrote;
--                        ed the letter whose edits it uses
-- R u:<source>:<key>  string  the event that came with this key; expires with the duplicates window
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
  if ended(status) and not ended(old) then
    event_closes(event, 1, now_ms)
  elseif ended(old) and not ended(status) then
    event_opens(event, 1)
  end
end

-- A predecessor has ended: successors that wait for no other go into their lanes.
local function proceed(id, now)
  local successors = call('HGET', R .. 'd:' .. id, 'nx')
  if not successors or successors == '' then return end
  for successor in string.gmatch(successors, '[^,]+') do
    local key = R .. 'd:' .. successor
    local v = call('HMGET', key, 'status', 'q', 'lane', 'msg', 'oks')
    local oks = v[5] or ''
    if not string.find(oks, id, 1, true) then
      call('HSET', key, 'oks', oks .. id .. ',')
      if call('HINCRBY', key, 'need', -1) <= 0 and v[1] == 'waiting' and v[4] then
        put(v[2], v[3], successor, v[4], now, false)
        call('HDEL', key, 'msg')
        touch(v[3], now)
      end
    end
  end
end
