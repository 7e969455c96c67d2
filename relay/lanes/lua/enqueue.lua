-- ARGV: now, then for each message: queue, lane, id, payload, due ('' = now), order key ('' = none, else '=' and it)
-- Returns for each message 1, or 0 where one of its id is there already.
local now = arrival(ARGV[1], (#ARGV - 1) / 6)
local results, lanes = {}, {}
for i = 2, #ARGV, 6 do
  local lane, due, key = ARGV[i + 1], ARGV[i + 4], ARGV[i + 5]
  -- One microsecond apart keeps the messages of one call in their order.
  due = due == '' and now + #results or tonumber(due)
  results[#results + 1] = put(ARGV[i], lane, ARGV[i + 2], ARGV[i + 3], due, key ~= '' and string.sub(key, 2))
  lanes[lane] = true
end
-- The last of a call may lie a few microseconds ahead of the clock; it is due all the same.
for lane in pairs(lanes) do touch(lane, now + #results) end
return results
