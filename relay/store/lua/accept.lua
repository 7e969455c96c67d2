-- Keeps events and queues their routing, in one act: what is acknowledged is queued. They are one request's: one, or the
-- parts of a body that holds many.
-- ARGV: now, source, lane, rings ('1' = the end of each of their deliveries is told), the mark of the secret that matched
-- ('' = there is but one), then for each event: id, duplicate key ('' = none), its window in ms, received ms, packed
-- request, payload
-- Returns for each '' or the id of the event that came with this key before.
local now, source, lane = arrival(ARGV[1], 1), ARGV[2], ARGV[3]
local earlier = {}
for i = 6, #ARGV, 6 do
  local id, known = ARGV[i], false
  if ARGV[i + 1] ~= '' then
    local key = R .. 'u:' .. source .. ':' .. ARGV[i + 1]
    if not call('SET', key, id, 'NX', 'PX', ARGV[i + 2]) then known = call('GET', key) end
  end
  if known then
    count('duplicate', source)
  else
    call('HSET', R .. 'e:' .. id, 'x', ARGV[i + 4], 'so', source, 'st', 'caught', 'open', 1)
    if ARGV[4] == '1' then call('HSET', R .. 'e:' .. id, 'rs', 1) end
    call('ZADD', R .. 'x:e', ARGV[i + 3], id)
    call('ZADD', R .. 'x:e:' .. source, ARGV[i + 3], id)
    count('caught', source)
    put('route', lane, id, ARGV[i + 5], now, false)
  end
  earlier[#earlier + 1] = known or ''
end
if ARGV[5] ~= '' then
  call('HINCRBY', R .. 'sm:' .. source, ARGV[5], 1)
  call('HSET', R .. 'sm:' .. source, ARGV[5] .. ':at', int(math.floor(now / 1000)))
end
touch(lane, now)
return earlier
