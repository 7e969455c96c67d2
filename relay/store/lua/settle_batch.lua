-- Records what became of a batch's rows, and moves its message, in one act.
-- ARGV: now, worker, lane, batch, verdict of the batch (done, retry, hold, wait), due in µs (retry, wait), state and reason of
-- the hold, what the call says of the destination and how many µs that wants to be left alone (see `observe`), why, how many
-- new batches take up its rows, for each of these its message, then for each row: delivery, verdict
-- (delivered, skipped, dead, retrying, waiting, or `to 2` for the second of the new batches), attempt ('' = none made), summary,
-- cause, saved values
-- Returns 1, or 0 where the worker no longer held the batch: then only deliveries are recorded. What it did to the lane's
-- breaker stands behind it.
local now, worker, lane, batch, verdict = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local now_ms = math.floor(now / 1000)
local key = R .. 'bt:' .. batch
local held = holds(worker, lane, batch)
local parts = tonumber(ARGV[12])
local names = {}
if held then
  local v = call('HMGET', key, 'k', 'closed', 'ver', 'opened', 'n')
  for part = 1, parts do
    local name = 'bat_' .. string.sub(redis.sha1hex(batch .. part .. int(now)), 1, 24)
    names[part] = name
    call('HSET', R .. 'bt:' .. name, 'k', v[1], 'lane', lane, 'opened', v[4], 'closed', v[2], 'ver', v[3], 'n', v[5] or 0)
    put('deliver', lane, name, (string.gsub(ARGV[12 + part], BATCH_ID, name)), now + part, false)
  end
end
for i = 13 + parts, #ARGV, 6 do
  local id, row, attempt = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local d = R .. 'd:' .. id
  local v = call('HMGET', d, 'status', 'bt', 'an')
  -- An end stays the end that it is; and a row that is elsewhere by now is no longer ours to settle.
  local ours = v[1] and v[2] == batch and not ended(v[1])
  local new = attempt ~= '' and call('HGET', d, 'a:' .. (v[3] or '0')) ~= attempt
  if ours and new then
    call('HSET', d, 'a:' .. call('HINCRBY', d, 'an', 1), attempt)
    if verdict ~= 'hold' then call('HINCRBY', d, 'n', 1) end
  end
  if ours and (held or row == 'delivered') then
    local part = tonumber(string.match(row, '^to (%d+)$') or 0)
    if part > 0 then
      call('RPUSH', R .. 'br:' .. names[part], id)
      call('HSET', d, 'bt', names[part])
    elseif row == 'retrying' then
      call('HSET', d, 'due', math.floor(ARGV[6] / 1000))
      mark(id, row, now_ms, ARGV[i + 3], ARGV[i + 4])
    elseif row == 'waiting' then
      mark(id, row, now_ms, ARGV[i + 3], ARGV[i + 4])
    else
      if ARGV[i + 5] ~= '' then call('HSET', d, 'sv', ARGV[i + 5]) end
      call('HDEL', d, 'due', 'bt')
      mark(id, row, now_ms, ARGV[i + 3], ARGV[i + 4])
      if row == 'dead' then give_places(id, now) else proceed(id, now) end
    end
  end
end
if not held then return {0} end
if verdict == 'done' then
  release(worker, lane, batch)
  finish(lane, batch)
  call('DEL', key, R .. 'br:' .. batch)
else
  if verdict == 'retry' then call('HINCRBY', key, 'n', 1) end
  -- One that got full, or was wanted, while it was looked at does not wait for its hour.
  local at_once = verdict == 'hold' or (verdict == 'wait' and call('HGET', key, 'now'))
  put_back(worker, lane, batch, at_once and now or tonumber(ARGV[6]), verdict == 'retry')
  if verdict == 'hold' and not settings(lane).paused then pause(lane, ARGV[7], ARGV[8], now) end
end
local news = observe(lane, ARGV[9], tonumber(ARGV[10]), ARGV[11], now)
touch(lane, now + parts)
return {1, unpack(news or {})}
