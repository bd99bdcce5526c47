"""The Lua scripts. Redis runs each as one step; all are fenced by "EPOCH-TOKEN" of the lease."""

from __future__ import annotations

# KEYS: lease, owner
# ARGV: token, host, pid, started, lease milliseconds, lease of an owner who is surely dead ("" for none)
# Answers {epoch} when taken, else {0, lease, host, pid, started} of the one who has it.
# Epochs only rise, also over a Redis that lost everything: record ids are made of them. So an epoch is
# the time in milliseconds, or one more than the last one if that is higher.
ACQUIRE = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[6] then
  local o = redis.call('HMGET', KEYS[2], 'host', 'pid', 'started')
  return {0, held, o[1] or '', o[2] or '0', o[3] or '0'}
end
local now = redis.call('TIME')
local epoch = math.floor(now[1] * 1000 + now[2] / 1000)
local last = tonumber(redis.call('HGET', KEYS[2], 'epoch') or '0')
if last >= epoch then epoch = last + 1 end
local text = string.format('%.0f', epoch)
redis.call('HSET', KEYS[2], 'epoch', text, 'token', ARGV[1], 'host', ARGV[2], 'pid', ARGV[3],
  'started', ARGV[4], 'turn', '0')
redis.call('SET', KEYS[1], text .. '-' .. ARGV[1], 'PX', ARGV[5])
return {epoch}
"""

# KEYS: lease, owner. Answers {1 or 0, host, pid, started}: is it held, and who had it last ('' for nobody).
HOLDER = """
local o = redis.call('HMGET', KEYS[2], 'host', 'pid', 'started')
return {redis.call('EXISTS', KEYS[1]), o[1] or '', o[2] or '0', o[3] or '0'}
"""

# The fence: our lease, or nobody's since we had it last (then it is ours again).
_FENCE = """
local function fence(lease, owner, mine, milliseconds)
  local held = redis.call('GET', lease)
  if held == mine then return nil end
  if held then return 'LOST' end
  local last = redis.call('HMGET', owner, 'epoch', 'token')
  if not last[1] then return 'EMPTY' end
  if last[1] .. '-' .. (last[2] or '') ~= mine then return 'LOST' end
  redis.call('SET', lease, mine, 'PX', milliseconds)
  return nil
end
"""

# KEYS: lease, owner  ARGV: "EPOCH-TOKEN", lease milliseconds
RENEW = (
    _FENCE
    + """
local trouble = fence(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
if trouble then return trouble end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'OK'
"""
)

# KEYS: lease  ARGV: "EPOCH-TOKEN"
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 'OK'
"""

# KEYS: contacts, agents, queues, timers, meta, owner. Answers their whole content, as of one moment.
LOAD = """
return {redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]), redis.call('HGETALL', KEYS[3]),
  redis.call('ZRANGE', KEYS[4], 0, -1, 'WITHSCORES'), redis.call('HGETALL', KEYS[5])}
"""

# What COMMIT and SNAPSHOT share: `put` takes a count and so many arguments for one command, in pieces
# that Lua's stack holds.
_PUT = """
local at = 0
local function put(command, key, id)
  local n = tonumber(ARGV[at])
  local last = at + n
  at = at + 1
  while at <= last do
    local till = math.min(at + 3999, last)
    if id then redis.call(command, key, id, unpack(ARGV, at, till))
    else redis.call(command, key, unpack(ARGV, at, till)) end
    at = till + 1
  end
end
"""

# KEYS: lease, owner, contacts, agents, queues, phones, timers, meta, records, inbox, then a list per reply
# ARGV: "EPOCH-TOKEN", turn, lease milliseconds, reply milliseconds, inbox position ("" for unchanged);
#   then a count and so many arguments of each: HSET and HDEL for contacts, agents, queues, phones; ZADD and
#   ZREM for timers; HSET for meta; then the count and id, body of each record
#   (one entry of the stream); then the replies' bodies.
# Answers OK, LOST, EMPTY, or STALE: a turn that was sent before one that is already done (it came late).
COMMIT = (
    _FENCE
    + _PUT
    + """
local trouble = fence(KEYS[1], KEYS[2], ARGV[1], ARGV[3])
if trouble then return trouble end
if tonumber(ARGV[2]) <= tonumber(redis.call('HGET', KEYS[2], 'turn') or '0') then return 'STALE' end
redis.call('HSET', KEYS[2], 'turn', ARGV[2])
at = 6
for key = 3, 6 do
  put('HSET', KEYS[key])
  put('HDEL', KEYS[key])
end
put('ZADD', KEYS[7])
put('ZREM', KEYS[7])
put('HSET', KEYS[8])
put('XADD', KEYS[9], '*')
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[8], 'inbox', ARGV[5])
  redis.call('XTRIM', KEYS[10], 'MINID', ARGV[5])
end
for key = 11, #KEYS do
  redis.call('RPUSH', KEYS[key], ARGV[at])
  redis.call('PEXPIRE', KEYS[key], ARGV[4])
  at = at + 1
end
return 'OK'
"""
)

# KEYS: lease, owner, contacts, agents, queues, phones, timers, meta, inbox
# ARGV: "EPOCH-TOKEN", turn, lease milliseconds, epoch, token, host, pid, started, inbox position ("" for
#   none); then a count and so many arguments: HSET contacts, agents, queues, phones; ZADD timers; HSET meta.
# Answers OK, STALE, or LOST when another has owned the floor since.
SNAPSHOT = (
    _PUT
    + """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 'LOST' end
local last = redis.call('HMGET', KEYS[2], 'epoch', 'token', 'turn')
if last[1] then
  if last[1] .. '-' .. (last[2] or '') ~= ARGV[1] then return 'LOST' end
  if tonumber(ARGV[2]) <= tonumber(last[3] or '0') then return 'STALE' end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
redis.call('HSET', KEYS[2], 'epoch', ARGV[4], 'token', ARGV[5], 'host', ARGV[6], 'pid', ARGV[7],
  'started', ARGV[8], 'turn', ARGV[2])
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8])
at = 10
put('HSET', KEYS[3])
put('HSET', KEYS[4])
put('HSET', KEYS[5])
put('HSET', KEYS[6])
put('ZADD', KEYS[7])
put('HSET', KEYS[8])
if ARGV[9] ~= '' then
  redis.call('HSET', KEYS[8], 'inbox', ARGV[9])
  if redis.call('EXISTS', KEYS[9]) == 0 then
    -- a new stream must not give ids before the position, whatever the clock says
    redis.call('XADD', KEYS[9], ARGV[9], 'body', '')
    redis.call('XTRIM', KEYS[9], 'MAXLEN', '0')
  end
end
return 'OK'
"""
)

# KEYS: records  ARGV: id, body of each. Not fenced: a record is true whoever brings it, and PostgreSQL
# takes each id once.
READD = """
for at = 1, #ARGV, 2 do redis.call('XADD', KEYS[1], '*', ARGV[at], ARGV[at + 1]) end
return 'OK'
"""
