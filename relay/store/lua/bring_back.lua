-- Brings back an event that was forgotten, as one that has ended: nothing of it is queued. Its deliveries come in slices,
-- the event with the last of them.
-- ARGV: now, event, its source ('' = a slice; the event comes later), received ms, its deliveries with when each was made
-- (ms), as ,<id>=<ms>,<id>=<ms>, how many words the event's fields are, those: field, value, …, then for each delivery: its
-- id, how many words its fields are, those
-- Returns 1, or 0 where there is such an event.
local now_ms, event = int(math.floor(clock(ARGV[1]) / 1000)), ARGV[2]
local key = R .. 'e:' .. event
if call('EXISTS', key) == 1 then return 0 end
local fields = tonumber(ARGV[6])
local i = 7 + fields
while i <= #ARGV do
  local d, words = R .. 'd:' .. ARGV[i], tonumber(ARGV[i + 1])
  call('DEL', d)
  for j = i + 2, i + words, 2 do call('HSET', d, ARGV[j], ARGV[j + 1]) end
  i = i + 2 + words
end
if ARGV[3] == '' then return 1 end
for j = 7, 5 + fields, 2 do call('HSET', key, ARGV[j], ARGV[j + 1]) end
local ids = {}
for id, at in string.gmatch(ARGV[5], '([^,=]+)=(%d+)') do
  ids[#ids + 1] = id
  call('ZADD', R .. 'x:d', at, id)
end
call('HSET', key, 'so', ARGV[3], 'ds', table.concat(ids, ','), 'open', 0)
call('ZADD', R .. 'x:e', ARGV[4], event)
call('ZADD', R .. 'x:e:' .. ARGV[3], ARGV[4], event)
-- From now on it is kept as long as one that ends now.
call('ZADD', R .. 'x:done', now_ms, event)
return 1
