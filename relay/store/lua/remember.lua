-- Writes that have to go through when the store is full too. ARGV: now, verb (set, setnx), hash, field, value, …
for i = 4, #ARGV, 2 do
  call(ARGV[2] == 'set' and 'HSET' or 'HSETNX', R .. ARGV[3], ARGV[i], ARGV[i + 1])
end
