-- Runs a delivery again. ARGV: now, delivery, audit entry, version ('' = as it was), queue, lane, payload, connection, its
-- batch (JSON; '' = none)
-- Returns what it did: queued, hastened (it waits in its lane already), in_flight, blocked (it waits for predecessors, or behind
-- another of its order),
-- discarded (an operator gave it up: not replayed), missing.
local now, id = clock(ARGV[1]), ARGV[2]
local key = R .. 'd:' .. id
local v = call('HMGET', key, 'status', 'lane', 'need')
local status, lane = v[1], v[2]
if not status then return 'missing' end
local stands, batch = in_lane(id)
if lane and call('HEXISTS', P .. 'f:' .. lane, stands) == 1 then return 'in_flight' end
if status == 'discarded' then return 'discarded' end
if status == 'waiting' and tonumber(v[3] or 0) > 0 then return 'blocked' end
-- Behind another of its order: it would overtake it.
if lane == ARGV[6] and call('HEXISTS', P .. 'b:' .. lane, id) == 1 then return 'blocked' end
call('XADD', R .. 'audit', 'MAXLEN', '~', 100000, '*', 'j', ARGV[3])
if lane == ARGV[6] and status ~= 'dead' and not ended(status) and make_due(lane, stands, now) then
  -- "Now" takes the place of the retry that was planned, or of the hour at which its batch would have been closed.
  if stands ~= id then call('HSET', R .. 'bt:' .. batch, 'now', 1) end
  touch(lane, now)
  return 'hastened'
end
if lane and drop(lane, id) == 1 then touch(lane, now) end
local replays = call('HINCRBY', key, 'rp', 1)
-- The destination has it: a second one is meant, and must not be taken for a repeat.
if status == 'delivered' then call('HSET', key, 'ik', replays) end
call('HSET', key, 'n', 0, 'q', ARGV[5], 'lane', ARGV[6], 'co', ARGV[8])
if ARGV[4] ~= '' then call('HSET', key, 'ver', ARGV[4]) end
call('HDEL', key, 'due')
leave_batch(id)
mark(id, 'waiting', math.floor(now / 1000), 'replayed', '')
go(id, ARGV[5], ARGV[6], ARGV[7], now, ARGV[9], call('HGET', key, 'ok'))
touch(ARGV[6], now)
return 'queued'
