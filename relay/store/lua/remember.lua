-- Writes that have to go through when the store is full too. ARGV: now, verb (set, keep), hash, field, value, …
-- `keep` leaves what is there, and what it names is not forgotten for as long again.
for i = 4, #ARGV, 2 do
  if ARGV[2] == 'set' then
    call('HSET', R .. ARGV[3], ARGV[i], ARGV[i + 1])
  else
    call('HSETNX', R .. ARGV[3], ARGV[i], ARGV[i + 1])
    call('ZREM', R .. 'x:unnamed', ARGV[i])
  end
end
