"""The steps of `table` in Lua. Redis runs each script atomically.

https://redis.io/docs/latest/develop/programmability/eval-intro/

A lease has three keys: a hash with the lease itself, and two sorted sets with the waiters, one by
order and one by the time until which their place lasts. Times are microseconds of the server's
clock; numbers in Lua are doubles, which represent them exactly until the year 2255.
"""

from __future__ import annotations

from typing import Final

_COMMON: Final = """
local lease, order, places = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function text(number)
    return string.format('%.0f', number)
end

local function drop_expired_places()
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', places, '-inf', text(now))) do
        redis.call('ZREM', order, id)
        redis.call('ZREM', places, id)
    end
end
"""

ASK: Final = (
    _COMMON
    + """
local id, ttl, owner, queues = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1'
local place, turn, durable = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == '1'
local row = redis.call('HMGET', lease, 'id', 'until', 'token', 'owner', 'run', 'settled')
local free_at = tonumber(row[2] or 0)
local token = tonumber(row[3] or 0)

if row[1] == id and now < free_at then
    redis.call('HSET', lease, 'until', text(now + ttl))
    return {1, text(token)}
end

-- A server that was started, or has taken over from another, may not know of the last leases that
-- were granted before. It grants none until these have expired.
local settled = tonumber(row[6] or 0)
if not durable then
    local info = redis.call('INFO', 'server')
    local run = string.match(info, 'run_id:(%w+)')
    if row[5] ~= run then
        local up = tonumber(string.match(info, 'uptime_in_seconds:(%d+)')) * 1000000
        settled = now + (row[5] and ttl or math.max(0, ttl - up))
        redis.call('HSET', lease, 'run', run, 'settled', text(settled))
    end
end

drop_expired_places()
local ahead = redis.call('ZRANK', order, id) or redis.call('ZCARD', order)
local may_at = math.max(free_at + ahead * turn, settled)
if now >= may_at then
    token = math.max(token + 1, now)
    redis.call('HSET', lease, 'id', id, 'token', text(token), 'since', text(now),
        'until', text(now + ttl), 'owner', owner)
    redis.call('ZREM', order, id)
    redis.call('ZREM', places, id)
    return {1, text(token)}
end
if queues then
    if not redis.call('ZSCORE', order, id) then
        redis.call('ZADD', order, redis.call('HINCRBY', lease, 'seat', 1), id)
    end
    redis.call('ZADD', places, text(now + place), id)
end
return {0, text(may_at - now), ahead, now < free_at and row[4] or '', now < settled and 1 or 0}
"""
)

RENEW: Final = (
    _COMMON
    + """
local row = redis.call('HMGET', lease, 'id', 'until', 'token')
if row[1] ~= ARGV[1] or row[3] ~= ARGV[2] or now >= tonumber(row[2]) then
    return 0
end
redis.call('HSET', lease, 'until', text(now + tonumber(ARGV[3])))
return 1
"""
)

WITHDRAW: Final = (
    _COMMON
    + """
local id = ARGV[1]
redis.call('ZREM', order, id)
redis.call('ZREM', places, id)
local row = redis.call('HMGET', lease, 'id', 'until')
local free_at = tonumber(row[2] or 0)
if row[1] == id and now < free_at then
    free_at = now
    redis.call('HSET', lease, 'id', '', 'until', text(now), 'owner', '')
end
if free_at <= now then
    drop_expired_places()
    local next = redis.call('ZRANGE', order, 0, 0)[1]
    if next then
        redis.call('PUBLISH', ARGV[2] .. string.match(next, '^[^.]*'), next)
    end
end
return 1
"""
)
