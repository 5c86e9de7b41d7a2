"""The steps of `table` in PL/pgSQL, one function each, and the table that they use.

The row with seat 0 is the lease of a name. A step locks this row, which makes the step atomic, and
reads the time after that. The other rows of the name are the waiters, in order of seats. Seats and
fencing tokens come from one sequence, which continues when rows are deleted.

If a crash of the server lost a step, the lease could be granted to another too early. So each step
is on the disk before it is answered, even if ``synchronous_commit`` is off:
https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT
"""

from __future__ import annotations

from typing import Final

from withal.lease import table

TABLE: Final = "withal_leases"
CHANNEL: Final = "withal_"
LOCK_KEY: Final = 7_593_012_440_184_513  # an advisory lock, so that only one migrates at a time

MIGRATION: Final = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    name text NOT NULL,
    seat bigint NOT NULL,
    id text NOT NULL DEFAULT '',
    token bigint NOT NULL DEFAULT 0,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    until timestamptz NOT NULL,
    owner text NOT NULL DEFAULT '',
    PRIMARY KEY (name, seat)
);
CREATE SEQUENCE IF NOT EXISTS {TABLE}_seq;

CREATE OR REPLACE FUNCTION {TABLE}_lock(key text) RETURNS {TABLE} LANGUAGE plpgsql AS $$
DECLARE
    lease {TABLE};
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        SET LOCAL synchronous_commit = on;
    END IF;
    LOOP
        SELECT * INTO lease FROM {TABLE} AS l WHERE l.name = key AND l.seat = 0 FOR UPDATE;
        EXIT WHEN FOUND;
        INSERT INTO {TABLE} (name, seat, until) VALUES (key, 0, to_timestamp(0))
            ON CONFLICT DO NOTHING;
    END LOOP;
    RETURN lease;
END $$;

CREATE OR REPLACE FUNCTION {TABLE}_ask(
    key text, claim text, ttl float8, asker text, queues boolean,
    OUT granted boolean, OUT token bigint, OUT again_in float8, OUT ahead bigint, OUT owner text
) LANGUAGE plpgsql AS $$
DECLARE
    lease {TABLE} := {TABLE}_lock(key);
    now timestamptz := clock_timestamp();
    expiry timestamptz := now + ttl * interval '1 second';
    mine bigint;
    may_at timestamptz;
BEGIN
    granted := lease.id = claim AND now < lease.until;
    IF granted THEN
        UPDATE {TABLE} AS l SET until = expiry WHERE l.name = key AND l.seat = 0;
        token := lease.token;
        RETURN;
    END IF;
    DELETE FROM {TABLE} AS l WHERE l.name = key AND l.seat > 0 AND l.until <= now;
    SELECT l.seat INTO mine FROM {TABLE} AS l WHERE l.name = key AND l.seat > 0 AND l.id = claim;
    SELECT count(*) INTO ahead FROM {TABLE} AS l
        WHERE l.name = key AND l.seat > 0 AND (mine IS NULL OR l.seat < mine);
    may_at := lease.until + ahead * interval '{table.TURN_SECONDS} seconds';
    granted := now >= may_at;
    IF granted THEN
        token := nextval('{TABLE}_seq');
        UPDATE {TABLE} AS l
            SET id = claim, token = {TABLE}_ask.token, since = now, until = expiry, owner = asker
            WHERE l.name = key AND l.seat = 0;
        DELETE FROM {TABLE} AS l WHERE l.name = key AND l.seat = mine;
        RETURN;
    END IF;
    IF queues THEN
        INSERT INTO {TABLE} AS l (name, seat, id, until)
            VALUES (key, coalesce(mine, nextval('{TABLE}_seq')), claim,
                now + interval '{table.PLACE_SECONDS} seconds')
            ON CONFLICT (name, seat) DO UPDATE SET until = excluded.until;
    END IF;
    again_in := extract(epoch FROM may_at - now);
    owner := CASE WHEN now < lease.until THEN lease.owner ELSE '' END;
END $$;

CREATE OR REPLACE FUNCTION {TABLE}_renew(key text, claim text, held bigint, ttl float8)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    lease {TABLE} := {TABLE}_lock(key);
    now timestamptz := clock_timestamp();
BEGIN
    IF lease.id <> claim OR lease.token <> held OR now >= lease.until THEN
        RETURN false;
    END IF;
    UPDATE {TABLE} AS l SET until = now + ttl * interval '1 second'
        WHERE l.name = key AND l.seat = 0;
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION {TABLE}_withdraw(key text, claim text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    lease {TABLE} := {TABLE}_lock(key);
    now timestamptz := clock_timestamp();
    following text;
BEGIN
    DELETE FROM {TABLE} AS l
        WHERE l.name = key AND l.seat > 0 AND (l.id = claim OR l.until <= now);
    IF lease.id = claim AND now < lease.until THEN
        UPDATE {TABLE} AS l SET id = '', until = now, owner = ''
            WHERE l.name = key AND l.seat = 0;
        lease.until := now;
    END IF;
    IF lease.until <= now THEN
        SELECT l.id INTO following FROM {TABLE} AS l
            WHERE l.name = key AND l.seat > 0 ORDER BY l.seat LIMIT 1;
        IF FOUND THEN
            PERFORM pg_notify('{CHANNEL}' || split_part(following, '.', 1), following);
        END IF;
    END IF;
END $$;
"""

ASK: Final = f"SELECT * FROM {TABLE}_ask($1, $2, $3::float8, $4, $5::boolean)"
RENEW: Final = f"SELECT {TABLE}_renew($1, $2, $3::bigint, $4::float8)"
WITHDRAW: Final = f"SELECT {TABLE}_withdraw($1, $2)"
HOLDERS: Final = f"""
SELECT owner, token,
    extract(epoch FROM clock_timestamp() - since)::float8,
    extract(epoch FROM until - clock_timestamp())::float8
FROM {TABLE} WHERE seat = 0 AND owner <> '' AND until > clock_timestamp()
"""
