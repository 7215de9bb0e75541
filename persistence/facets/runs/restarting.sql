-- name: restarting.rename
UPDATE entries SET name = :new, result_digest = :result_digest WHERE run = :run AND place = :place;

-- name: restarting.named
SELECT place, arguments_digest, call_key, result, error, kind, repeat, status FROM entries WHERE run = :run AND (name = :old OR place = :old);

-- name: restarting.places
SELECT place, name, repeat, kind, asked_after FROM entries WHERE run = :run ORDER BY entry;

-- name: restarting.forget
DELETE FROM entries WHERE run = :run AND place = :place;

-- name: restarting.move
UPDATE entries SET place = :into WHERE run = :run AND place = :place;

-- name: restarting.move_call
UPDATE entries SET asked_after = :into WHERE run = :run AND place = :place;

-- name: restarting.rebind
-- What had joined to steer the run lies in the inbox again, and joins the new one.
UPDATE inputs SET run = CASE WHEN joined IS NULL THEN CAST(:into AS BIGINT) ELSE NULL END, joined = NULL
WHERE run = :run AND finished_at IS NULL;

-- name: restarting.any
SELECT 1 FROM inputs WHERE run = :run AND finished_at IS NULL LIMIT 1;
