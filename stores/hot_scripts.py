"""What runs inside Redis, atomically: the two merges of the hot store."""

from typing import Final

# KEYS: members, completeness (or "" when the pane is not the total's minutes).
# ARGV: prefix, suffix, offset, expire at, most series, status, slot, then values and record, …
WRITE: Final = """
local written, grown, same = 0, false, false
for i = 8, #ARGV, 2 do
  local key = ARGV[1] .. ARGV[i] .. ARGV[2]
  local held = redis.call('GETRANGE', key, ARGV[3], ARGV[3] + 3)
  local old = #held == 4 and struct.unpack('<I4', held) or 0
  local new = struct.unpack('<I4', ARGV[i + 1])
  if new > old then
    local admitted = old > 0 or redis.call('SISMEMBER', KEYS[1], ARGV[i]) == 1
    if not admitted and redis.call('SCARD', KEYS[1]) < tonumber(ARGV[5]) then
      redis.call('SADD', KEYS[1], ARGV[i])
      redis.call('EXPIREAT', KEYS[1], ARGV[4])
      admitted = true
    end
    if admitted then
      redis.call('SETRANGE', key, ARGV[3], ARGV[i + 1])
      if old == 0 then redis.call('EXPIREAT', key, ARGV[4]) end
      written = written + 1
      grown = true
    end
  elseif new == old then
    same = true
  end
end
if #KEYS == 2 and (grown or same) then
  local state = tonumber(ARGV[6])
  local held = redis.call('GETRANGE', KEYS[2], ARGV[7], ARGV[7])
  local rank = {[0] = 0, 1, 3, 2}  -- of none, partial, final, revised among equal counts
  if grown or #held == 0 or rank[string.byte(held)] < rank[state] then
    redis.call('SETRANGE', KEYS[2], ARGV[7], string.char(state))
    redis.call('EXPIREAT', KEYS[2], ARGV[4])
  end
end
return written
"""

# KEYS: one sketch, a scratch key, which series have sketches. ARGV: its HyperLogLog value, expire
# at, the series, most series, when the set expires.
UNION: Final = """
if redis.call('SISMEMBER', KEYS[3], ARGV[3]) == 0 then
  if redis.call('SCARD', KEYS[3]) >= tonumber(ARGV[4]) then return 0 end
  redis.call('SADD', KEYS[3], ARGV[3])
  redis.call('EXPIREAT', KEYS[3], ARGV[5])
end
redis.call('SET', KEYS[2], ARGV[1])
redis.call('PFMERGE', KEYS[1], KEYS[2])
redis.call('DEL', KEYS[2])
redis.call('EXPIREAT', KEYS[1], ARGV[2])
return 1
"""
