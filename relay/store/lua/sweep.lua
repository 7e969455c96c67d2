-- Forgets events that ended long ago, with their deliveries. ARGV: now, ended before (ms), how many events, how many
-- deliveries, and where only some of them may go: their ids.
-- Returns {how many events, 1 where it stopped at the deliveries}: nobody else is served meanwhile.
local swept, budget, before = 0, tonumber(ARGV[4]), tonumber(ARGV[2])
local events = {}
for i = 5, #ARGV do events[#events + 1] = ARGV[i] end
if #ARGV == 4 then events = call('ZRANGE', R .. 'x:done', '-inf', ARGV[2], 'BYSCORE', 'LIMIT', 0, ARGV[3]) end
for _, event in ipairs(events) do
  local key = R .. 'e:' .. event
  local at = call('ZSCORE', R .. 'x:done', event)
  -- One that was named may have been replayed meanwhile.
  if at and tonumber(at) <= before then
    local deliveries = call('HGET', key, 'ds') or ''
    local rest = 1
    for id, behind in string.gmatch(deliveries, '([^,]+),?()') do
      if budget == 0 then break end
      budget = budget - 1
      rest = behind
      local group = call('HGET', R .. 'd:' .. id, 'gr')
      if group then call('UNLINK', R .. 'g:' .. group) end
      call('UNLINK', R .. 'd:' .. id)
      call('ZREM', R .. 'x:d', id)
    end
    if rest <= #deliveries then
      call('HSET', key, 'ds', string.sub(deliveries, rest), 'sw', at)
      return {swept, 1}
    end
    local source = call('HGET', key, 'so')
    call('DEL', key)
    call('ZREM', R .. 'x:e', event)
    if source then call('ZREM', R .. 'x:e:' .. source, event) end
    call('ZREM', R .. 'x:done', event)
    swept = swept + 1
  end
end
return {swept, 0}
