-- name: rates.insert
INSERT INTO queue_rates (rate, name, starts, per_ms, digest) VALUES (:key, :name, :starts, :per_ms, :digest);

-- name: rates.update
UPDATE queue_rates SET starts = :starts, per_ms = :per_ms, digest = :digest, scheme = :scheme WHERE rate = :rate;

-- name: rates.by_name
SELECT rate, name, starts, per_ms, digest, scheme FROM queue_rates WHERE name = :name;

-- name: rates.by_key
SELECT rate, name, starts, per_ms, digest, scheme FROM queue_rates WHERE rate = :rate;

-- name: rates.keys
SELECT rate FROM queue_rates ORDER BY rate;

-- name: rates.strays
-- How many starts have no rate.
SELECT count(*) FROM queue_starts s LEFT JOIN queue_rates r ON r.rate = s.rate WHERE r.rate IS NULL;

-- name: rates.standing
-- The last start, and the one so many places before it: all that decides when the next may be.
SELECT l.place, l.started_at, l.digest, l.scheme, f.place, f.started_at, f.digest, f.scheme
FROM queue_starts l LEFT JOIN queue_starts f ON f.rate = l.rate AND f.place = l.place - :before
WHERE l.rate = :rate AND l.place = (SELECT max(m.place) FROM queue_starts m WHERE m.rate = :rate);

-- name: rates.all_starts
SELECT place, started_at, digest, scheme FROM queue_starts WHERE rate = :rate ORDER BY place;

-- name: rates.ahead
SELECT place, started_at, digest, scheme FROM queue_starts WHERE rate = :rate AND started_at > :now_ms ORDER BY place;

-- name: rates.insert_start
INSERT INTO queue_starts (rate, place, started_at, digest, scheme) VALUES (:rate, :place, :started_at, :digest, :scheme);

-- name: rates.set_start
UPDATE queue_starts SET started_at = :started_at, digest = :digest, scheme = :scheme WHERE rate = :rate AND place = :place;

-- name: rates.forget
DELETE FROM queue_starts WHERE rate = :rate AND place <= :place AND started_at <= :before;

-- name: rates.idle
-- Rates under which nothing has begun after a time, and of whose starts none counts any more.
SELECT r.rate FROM queue_rates r
WHERE r.rate > :after AND NOT EXISTS (
    SELECT 1 FROM queue_starts s WHERE s.rate = r.rate AND (s.started_at > :before OR s.started_at + r.per_ms > :now_ms))
ORDER BY r.rate LIMIT :count;

-- name: rates.is_idle
SELECT r.rate FROM queue_rates r
WHERE r.rate = :rate AND NOT EXISTS (
    SELECT 1 FROM queue_starts s WHERE s.rate = r.rate AND (s.started_at > :before OR s.started_at + r.per_ms > :now_ms));

-- name: rates.delete_starts
DELETE FROM queue_starts WHERE rate = :rate;

-- name: rates.delete
DELETE FROM queue_rates WHERE rate = :rate;
