-- Keeps a request and queues its routing, in one act: what is acknowledged is queued.
-- ARGV: now, event, source, duplicate key ('' = none), its window in ms, received ms, packed request, lane, payload,
-- rings ('1' = the end of each of its deliveries is told)
-- Returns '' or the id of the event that came with this key before.
local now, id, source = clock(ARGV[1]), ARGV[2], ARGV[3]
if ARGV[4] ~= '' then
  local key = R .. 'u:' .. source .. ':' .. ARGV[4]
  if not call('SET', key, id, 'NX', 'PX', ARGV[5]) then
    count('duplicate', source)
    return call('GET', key)
  end
end
call('HSET', R .. 'e:' .. id, 'x', ARGV[7], 'so', source, 'st', 'caught', 'open', 1)
if ARGV[10] == '1' then call('HSET', R .. 'e:' .. id, 'rs', 1) end
call('ZADD', R .. 'x:e', ARGV[6], id)
call('ZADD', R .. 'x:e:' .. source, ARGV[6], id)
count('caught', source)
put('route', ARGV[8], id, ARGV[9], now, false)
touch(ARGV[8], now)
return ''
