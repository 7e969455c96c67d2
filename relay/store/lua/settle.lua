-- Records an attempt and moves its message, in one act.
-- ARGV: now, worker, lane, delivery, verdict (delivered, skipped, retry, dead, hold), attempt ('' = none made),
-- due in µs (retry), summary, cause, saved values, state and reason of the hold, what the attempt says of the destination and
-- how many µs that wants to be left alone (see `observe`)
-- Returns 1, or 0 where the worker no longer held the message: then only the attempt is recorded, and a delivery. What it did
-- to the lane's breaker stands behind it.
local now, worker, lane, id, verdict = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local now_ms = math.floor(now / 1000)
local key = R .. 'd:' .. id
local held = holds(worker, lane, id)

-- The message goes for good.
local function leave()
  if not held then return end
  release(worker, lane, id)
  finish(lane, id)
end

if call('EXISTS', key) == 0 then
  leave()
  touch(lane, now)
  return {0}
end
if ARGV[6] ~= '' then
  -- A command whose answer was lost comes twice. What it said was done the first time, and the message may be in flight
  -- again by now.
  if call('HGET', key, 'a:' .. (call('HGET', key, 'an') or '0')) == ARGV[6] then return {1} end
  call('HSET', key, 'a:' .. call('HINCRBY', key, 'an', 1), ARGV[6])
  -- What only waits for credentials has not used up a try.
  if verdict ~= 'hold' then call('HINCRBY', key, 'n', 1) end
end
local old = call('HGET', key, 'status')
if ended(old) then
  -- Another worker was first: an end stays the end that it is.
  leave()
  touch(lane, now)
  return {0}
end
if verdict == 'delivered' or verdict == 'skipped' then
  if ARGV[10] ~= '' then call('HSET', key, 'sv', ARGV[10]) end
  call('HDEL', key, 'due')
  mark(id, verdict, now_ms, ARGV[8], ARGV[9])
  leave()
  if not held then
    -- It was taken back and waits again: there is nothing left to do for whoever would take it.
    local elsewhere = call('HGET', key, 'lane') or lane
    if drop(elsewhere, id) == 1 then touch(elsewhere, now) end
  end
  proceed(id, now)
elseif not held then
  return {0}
elseif verdict == 'dead' then
  call('HDEL', key, 'due')
  mark(id, 'dead', now_ms, ARGV[8], ARGV[9])
  give_places(id, now)
  leave()
elseif verdict == 'retry' then
  call('HSET', key, 'due', math.floor(ARGV[7] / 1000))
  mark(id, 'retrying', now_ms, ARGV[8], ARGV[9])
  put_back(worker, lane, id, tonumber(ARGV[7]), true)
elseif verdict == 'hold' then
  mark(id, 'waiting', now_ms, ARGV[8], ARGV[9])
  put_back(worker, lane, id, now)
  if not settings(lane).paused then pause(lane, ARGV[11], ARGV[12], now) end
end
local news = held and observe(lane, ARGV[13], tonumber(ARGV[14]), ARGV[8], now)
touch(lane, now)
return {held and 1 or 0, unpack(news or {})}
