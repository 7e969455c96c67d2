-- Forgets events that ended long ago, with their deliveries. ARGV: now, ended before (ms), how many.   Returns how many.
local swept = 0
for _, event in ipairs(call('ZRANGE', R .. 'x:done', '-inf', ARGV[2], 'BYSCORE', 'LIMIT', 0, ARGV[3])) do
  local key = R .. 'e:' .. event
  for id in string.gmatch(call('HGET', key, 'ds') or '', '[^,]+') do
    local group = call('HGET', R .. 'd:' .. id, 'gr')
    if group then call('DEL', R .. 'g:' .. group) end
    call('DEL', R .. 'd:' .. id)
    call('ZREM', R .. 'x:d', id)
  end
  local source = call('HGET', key, 'so')
  call('DEL', key)
  call('ZREM', R .. 'x:e', event)
  if source then call('ZREM', R .. 'x:e:' .. source, event) end
  call('ZREM', R .. 'x:done', event)
  swept = swept + 1
end
return swept
