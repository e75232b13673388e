"""The Lua that runs in the store: fixed text, ours; what authors write never reaches it."""

from __future__ import annotations

ACCEPT = """
-- KEYS: log, dedupe prefix, counters.
-- ARGV: generation length in ms, then for each fact: id digest ('' = no dedupe), body digest, fact.
-- Appends the facts whose id is new as ONE log entry and remembers their ids, atomically.
-- Answers one number a fact: 0 accepted, 1 the same fact again, 2 the same id with another body.
local now = redis.call('TIME')
local span = tonumber(ARGV[1])
local generation = math.floor((now[1] * 1000 + math.floor(now[2] / 1000)) / span)
local this, last = KEYS[2] .. generation, KEYS[2] .. (generation - 1)
local answer, blobs, added = {}, {}, false
for i = 2, #ARGV, 3 do
  local id, body = ARGV[i], ARGV[i + 1]
  local known = false
  if id ~= '' then
    known = redis.call('HGET', this, id) or redis.call('HGET', last, id)
    if not known then redis.call('HSET', this, id, body) added = true end
  end
  if not known then
    blobs[#blobs + 1] = ARGV[i + 2]
    answer[#answer + 1] = 0
  elseif known == body then answer[#answer + 1] = 1
  else answer[#answer + 1] = 2 end
end
local n = #blobs
if n > 0 then
  local head = string.char(220, math.floor(n / 256), n % 256)
  redis.call('XADD', KEYS[1], '*', 'f', head .. table.concat(blobs))
  redis.call('HINCRBY', KEYS[3], 'accepted', n)
end
if added then redis.call('PEXPIRE', this, 2 * span + 60000, 'NX') end
return answer
"""

SEEN = """
-- KEYS: dedupe prefix.  ARGV: generation length, id digest.  The body digest under which the id was accepted, or nil.
local now = redis.call('TIME')
local generation = math.floor((now[1] * 1000 + math.floor(now[2] / 1000)) / tonumber(ARGV[1]))
return redis.call('HGET', KEYS[1] .. generation, ARGV[2]) or redis.call('HGET', KEYS[1] .. (generation - 1), ARGV[2])
"""

LINK = """
-- KEYS: pointer, log, counters.  ARGV: contact, log entry.  Points a weaker contact to the one that takes it in, and
-- orders the move in its log, atomically. The first such pointer stays. Answers {where it leads, 1 if it is new}.
local there = redis.call('GET', KEYS[1])
if there then return {there, 0} end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('XADD', KEYS[2], '*', 'f', ARGV[2])
redis.call('HINCRBY', KEYS[3], 'accepted', 1)
return {ARGV[1], 1}
"""

LEASE = """
-- KEYS: owner.  ARGV: worker, milliseconds, those of the longest lease there is.
-- Takes the lease if it is free, expired or mine; the store's clock decides. One that ends later than any can was taken
-- before that clock was put back: who still works renews it soon, and nobody else must wait until then.
-- Answers {epoch, 1 if taken from an owner that vanished}, epoch 0 = held by another.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local o = redis.call('HMGET', KEYS[1], 'worker', 'until', 'epoch')
if o[1] == ARGV[1] then
  redis.call('HSET', KEYS[1], 'until', now + ARGV[2])
  return {tonumber(o[3]), 0}
end
local held = o[1] and o[1] ~= ''
local left = tonumber(o[2] or 0) - now
if held and left > 0 and left <= tonumber(ARGV[3]) then return {0, 0} end
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[1], 'worker', ARGV[1], 'until', now + ARGV[2])
return {epoch, held and 1 or 0}
"""

RELEASE = """
-- KEYS: owner.  ARGV: worker.  Gives the lease back, if it is still mine.
if redis.call('HGET', KEYS[1], 'worker') ~= ARGV[1] then return 0 end
return redis.call('HSET', KEYS[1], 'worker', '', 'until', 0)
"""

_RUN = """
local n = #ARGV
while i <= n do
  local words = tonumber(ARGV[i])
  redis.call(unpack(ARGV, i + 1, i + words))
  i = i + words + 1
end
"""  # the commands in ARGV from `i` on, each as its length and its words

COMMIT = f"""
-- KEYS: owner, checkpoint.
-- ARGV: epoch, previous checkpoint, next checkpoint, then commands, each as its length and its words.
-- All or nothing: a stale epoch or a checkpoint that has moved writes nothing. Checkpoints '' and '' leave it alone.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 'epoch' end
if ARGV[2] ~= ARGV[3] then
  if (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then return 'checkpoint' end
  redis.call('SET', KEYS[2], ARGV[3])
end
local i = 4
{_RUN}return 'ok'
"""

HAND = f"""
-- KEYS: owner, a message, contacts that are about to be erased.
-- ARGV: epoch, the message's contact ('' where its hand-off has just been made), then commands as in COMMIT.
-- Only while there still is such a message; and of a contact that leaves none is taken up.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 'epoch' end
if redis.call('EXISTS', KEYS[2]) == 0 then return 'withdrawn' end
if ARGV[2] ~= '' and redis.call('SISMEMBER', KEYS[3], ARGV[2]) == 1 then return 'withdrawn' end
local i = 3
{_RUN}return 'ok'
"""


def unfenced(script: str) -> str:
    """For `bench/chaos --weaken fence` only: it shows that the bed detects what the fence prevents."""
    checks = (
        "if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 'epoch' end",
        "if (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then return 'checkpoint' end",
    )
    for check in checks:
        script = script.replace(check, "")
    return script


ADVANCE = f"""
-- KEYS: a hash, a value.  ARGV: a field, what it must be now, what the value must be ('': anything), then commands as
-- in COMMIT. For work that several processes may be at: each move is made by one of them, once.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] ~= '' and (redis.call('GET', KEYS[2]) or '-') ~= ARGV[3] then return 0 end
local i = 4
{_RUN}return 1
"""

SWAP = f"""
-- KEYS: a value.  ARGV: what it must be now, then commands as in COMMIT. For a write by one who owns no lease.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local i = 2
{_RUN}return 1
"""

TAKE = """
-- KEYS: when the last one would have left at an even pace, ms.  ARGV: ms between two, how many may leave at once, ms
-- by which the clock was put ahead.
-- Answers 0 and counts one more, or how many ms to wait. What is further ahead than all at once can bring it was
-- counted before the clock was put back.
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000 + tonumber(ARGV[3])
local gap = tonumber(ARGV[1])
local last = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
-- Who was told to come at this time is not sent away because the one before it was a little late.
local slack = math.min(gap / 2, 500)
if last - now > gap * tonumber(ARGV[2]) + slack + 1 then last = now end
local early = last - now - gap * (tonumber(ARGV[2]) - 1)
if early > slack then return math.ceil(early) end
redis.call('SET', KEYS[1], string.format('%.3f', last + gap), 'PX', math.ceil(last + gap - now))
return 0
"""

REST = """
-- KEYS: counters, forwards, sweep, contacts due, outbox.
-- Answers {accepted, decided, on their way to other partitions, sweep, first contact due, first message due}.
local n = redis.call('HMGET', KEYS[1], 'accepted', 'decided')
local contact = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
local message = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
return {n[1] or 0, n[2] or 0, redis.call('LLEN', KEYS[2]), redis.call('GET', KEYS[3]) or '',
  contact[2] or '', message[2] or ''}
"""

ACTIVATE = """
-- KEYS: active version, the new set, what was learned, then every partition's log.
-- ARGV: expected version, new version, set, log entry, then pairs: digest, artefact.
-- The new set becomes active at one place in each partition's log: a fact is decided by the set current at its place.
if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], ARGV[3])
for i = 5, #ARGV, 2 do redis.call('HSETNX', KEYS[3], ARGV[i], ARGV[i + 1]) end
for i = 4, #KEYS do redis.call('XADD', KEYS[i], '*', 'f', ARGV[4]) end
return 1
"""

SEEK = """
-- KEYS: a zset.  ARGV: score, member, limit.  Members in order from just after (score, member), with scores.
-- A zset cannot be asked for "after this member among equals": find the place by bisection over ranks.
local low, high = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[1]), redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[1])
while low < high do
  local middle = math.floor((low + high) / 2)
  if redis.call('ZRANGE', KEYS[1], middle, middle)[1] <= ARGV[2] then low = middle + 1 else high = middle end
end
return redis.call('ZRANGE', KEYS[1], low, low + ARGV[3] - 1, 'WITHSCORES')
"""

HOLD = """
-- KEYS: a turn.  ARGV: owner, ms.  Take the turn, or keep it so much longer; 0 while it is another's.
local now = redis.call('GET', KEYS[1])
if now and now ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

GIVE = """
-- KEYS: a turn.  ARGV: owner.  Give it back if it is still the owner's.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""

REACH = """
-- KEYS: a turn, places.  ARGV: owner, source, place.  Note the place if it is still the owner's turn.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
return 1
"""

KEEP = """
-- KEYS: places, items and reads of an inbox, contacts that are about to be erased.
-- ARGV: contact, message, item, now (ms), how many are kept, for how long (ms), pub/sub channel.
-- Keeps a message, once; what there is no room for, or is too old, goes. A place is never given twice.
if redis.call('SISMEMBER', KEYS[4], ARGV[1]) == 1 then return 0 end
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then return 1 end
local now, span = tonumber(ARGV[4]), tonumber(ARGV[6])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
local place = math.max(now, (tonumber(last[2]) or 0) + 1)
redis.call('ZADD', KEYS[1], string.format('%.0f', place), ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - span))
local rest = redis.call('ZRANGE', KEYS[1], 0, -(tonumber(ARGV[5]) + 1))
for _, ids in ipairs({gone, rest}) do
  for _, id in ipairs(ids) do
    redis.call('ZREM', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id)
    redis.call('HDEL', KEYS[3], id)
  end
end
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], string.format('%.0f', span)) end
redis.call('PUBLISH', ARGV[7], ARGV[1])
return 1
"""

MARK = """
-- KEYS: places, items and reads of an inbox. ARGV: message, now (ms).
-- Notes that a message was read, once, for as long as the message is kept.
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('HSETNX', KEYS[3], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[3], redis.call('PTTL', KEYS[2]))
return 1
"""
