-- name: entries.record
-- What stands at a place is written again by its next attempt; a failed step that nothing stands on makes room for another.
INSERT INTO entries (run, place, kind, name, repeat, arguments_digest, call_key, status, attempt, version, result,
                     result_digest, error, started_at, ended_at, next_at, drawn, asked_after)
VALUES (:run, :place, :kind, :name, :repeat, :arguments_digest, :call_key, :status, :attempt, :version, :result,
        :result_digest, :error, :started_at, :ended_at, :next_at, :drawn, :asked_after)
ON CONFLICT (run, place) DO UPDATE
SET kind = excluded.kind, name = excluded.name, repeat = excluded.repeat, arguments_digest = excluded.arguments_digest,
    call_key = excluded.call_key, status = excluded.status, attempt = excluded.attempt, version = excluded.version,
    result = excluded.result, result_digest = excluded.result_digest, scheme = excluded.scheme, error = excluded.error,
    started_at = excluded.started_at, ended_at = excluded.ended_at, next_at = excluded.next_at,
    drawn = excluded.drawn, asked_after = excluded.asked_after;

-- name: entries.forget_doubtful
DELETE FROM entries WHERE run = :run AND place = :place AND repeat = 'never' AND status IN ('in_doubt', 'dispatched');

-- name: entries.forget_unbegun
-- One that was cut off by its scope, and whose cut is recorded, stays.
DELETE FROM entries WHERE run = :run AND place = :place AND repeat = 'never' AND status = 'dispatched';

-- name: entries.catch
UPDATE entries SET status = 'caught' WHERE run = :run AND place = :place AND status = 'failed';

-- name: entries.forget_caught
-- What fails and may be repeated is an entry no longer: it runs when it is asked for again.
UPDATE entries SET status = 'failed' WHERE run = :run AND place = :place AND status = 'caught' AND repeat = 'freely';

-- name: entries.doubt
-- A hold lists all doubts of its run.
UPDATE entries SET status = 'in_doubt' WHERE run = :run AND repeat = 'never' AND status = 'dispatched';

-- name: entries.in_doubt
SELECT place, name FROM entries
WHERE run = :run AND repeat = 'never' AND status IN ('in_doubt', 'dispatched') ORDER BY entry;

-- name: entries.sealed
SELECT name, arguments_digest, call_key, kind, repeat FROM entries WHERE run = :run AND place = :place;

-- name: entries.settle
UPDATE entries SET status = 'succeeded', result = :result, error = :error, result_digest = :result_digest, ended_at = :now
WHERE run = :run AND place = :place AND repeat = 'never' AND status IN ('in_doubt', 'dispatched');

-- name: entries.doubtful
-- So may a step have that was cut off after it had begun; one that has a key may run again.
SELECT place, name FROM entries
WHERE run = :run AND ((repeat <> 'freely' AND status IN ('in_doubt', 'dispatched'))
                      OR (repeat = 'never' AND status = 'cancelled' AND error IS NOT NULL)) ORDER BY entry;

-- name: entries.carry
-- A restarted run takes over what must not be done twice, in its order; it has no place there.
UPDATE entries SET run = :into, place = '^' || place, asked_after = NULL
WHERE run = :run AND (kind IN ('ask', 'send', 'spawn') OR (kind = 'step' AND repeat <> 'freely'));

-- name: entries.outline
-- A long result of a step stays where it is until it is reached; how long it is stands in the head of its row.
SELECT place, kind, name, repeat, arguments_digest, call_key, status, attempt, version,
       CASE WHEN kind = 'step' AND length(result) > :longest THEN NULL ELSE result END, result_digest, error,
       started_at, ended_at, next_at, drawn, asked_after, scheme,
       entry, CASE WHEN kind = 'step' AND length(result) > :longest THEN length(result) END
FROM entries WHERE run = :run ORDER BY entry;

-- name: entries.result
SELECT result, result_digest, scheme FROM entries WHERE entry = :entry AND run = :run;

-- name: entries.of_run
SELECT place, kind, name, repeat, arguments_digest, call_key, status, attempt, version, result, result_digest, error,
       started_at, ended_at, next_at, drawn, asked_after, scheme
FROM entries WHERE run = :run ORDER BY entry;
