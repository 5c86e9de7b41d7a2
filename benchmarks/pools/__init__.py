"""What withal's pool costs, beside the pools of asyncpg and psycopg: ``make bench-pools``."""
