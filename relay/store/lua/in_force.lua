-- What is in force now of a workspace, where it isn't so already: the first of all processes that sees a change notes it.
-- ARGV: now, which process, how much history is kept, then for each: kind (recipe, file), name, version, text; both empty
-- where there is none any more
-- Returns the names of what was new.
--
-- R force      hash  recipe -> the version in force         R versions  hash  <recipe>:<version> -> text
-- R files      hash  file -> its last valid version         R texts     hash  file -> the text of it
-- R recipes    set   those that were ever in force          R h:<recipe>  list  newest first: when (ms), version or -, which process
-- R x:unnamed  zset  <recipe>:<version> that is in no history, since when
-- R force:n    how many changes there were
local now, by = int(math.floor(clock(ARGV[1]) / 1000)), ARGV[2]
local new = {}

local function set_file(name, version, text)
  if (call('HGET', R .. 'files', name) or '') == version then return false end
  if version == '' then
    call('HDEL', R .. 'files', name)
    call('HDEL', R .. 'texts', name)
  else
    call('HSET', R .. 'files', name, version)
    call('HSET', R .. 'texts', name, text)
  end
  return true
end

local function set_recipe(name, version, text)
  if (call('HGET', R .. 'force', name) or '') == version then return false end
  if version == '' then
    call('HDEL', R .. 'force', name)
  else
    call('HSET', R .. 'force', name, version)
    call('HSETNX', R .. 'versions', name .. ':' .. version, text)
    call('ZREM', R .. 'x:unnamed', name .. ':' .. version)
  end
  call('SADD', R .. 'recipes', name)
  call('LPUSH', R .. 'h:' .. name, now .. ' ' .. (version == '' and '-' or version) .. ' ' .. by)
  call('LTRIM', R .. 'h:' .. name, 0, ARGV[3] - 1)
  return true
end

for i = 4, #ARGV, 4 do
  local set = ARGV[i] == 'file' and set_file or set_recipe
  if set(ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]) then new[#new + 1] = ARGV[i + 1] end
end
if #new > 0 then call('INCR', R .. 'force:n') end
return new
