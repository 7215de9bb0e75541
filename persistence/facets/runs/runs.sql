-- name: runs.insert
-- The run stands on the head that the conversation has now.
INSERT INTO runs (run, run_id, runtime, attempts, base, base_count, started_at)
SELECT :key, :run_id, r.runtime, 0, s.head, coalesce(s.message_count, 0), :now
FROM runtimes r LEFT JOIN sessions s ON s.session = r.session
WHERE r.runtime = :runtime;

-- name: runs.begin
-- It sees the runtime's own state as it is now, whenever it is entered.
INSERT INTO runs (run, run_id, runtime, attempts, base, base_count, started_at, state_base, version)
VALUES (:key, :run_id, :runtime, 0, :base, :base_count, :now,
        coalesce((SELECT o.revision FROM own_states o WHERE o.runtime = :runtime), 0), :version);

-- name: runs.load
-- Its boundaries are its receipts, dense from 1: counted where a run is loaded, and not kept a second time.
SELECT run, run_id, attempts, base, base_count,
       (SELECT coalesce(max(sequence), 0) FROM receipts WHERE receipts.run = runs.run), retry_at, error, ways,
       version, children, said, follows
FROM runs WHERE run = :run;

-- name: runs.update
UPDATE runs SET attempts = :attempts, retry_at = :retry_at, error = :error, ways = :ways,
                version = :version
WHERE run = :run;

-- name: runs.end
UPDATE runs SET attempts = :attempts, error = :error, outcome = :outcome, ended_at = :now,
                retry_at = NULL, version = :version, in_doubt = :in_doubt, aside = 0
WHERE run = :run;

-- name: runs.by_id
SELECT run, run_id, attempts, base, base_count,
       (SELECT coalesce(max(sequence), 0) FROM receipts WHERE receipts.run = runs.run), retry_at, error, ways,
       version, children, said, follows
FROM runs
WHERE run_id = :run_id AND runtime = :runtime;

-- name: runs.reopen
UPDATE runs SET reopened_at = :now, ended_at = NULL, outcome = NULL, retry_at = NULL, aside = 0 WHERE run = :run;

-- name: runs.mark_following
UPDATE runs SET follows = 1 WHERE run = :run;

-- name: runs.begin_from_here
-- One that waited before it was ever entered sees conversation and state as they stand now.
UPDATE runs SET base = :base, base_count = :base_count, started_at = :now,
                state_base = coalesce((SELECT o.revision FROM own_states o WHERE o.runtime = runs.runtime), 0)
WHERE run = :run AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.run = runs.run);

-- name: runs.forgive
UPDATE runs SET attempts = 0 WHERE run = :run;

-- name: runs.what_waits
-- The reopened run that waits longest, and how many inputs wait in any lane, counted no further than asked: one more than a batch
-- says whether the inbox is empty after it.
SELECT (SELECT u.run FROM runs u
        WHERE u.runtime = :runtime AND u.reopened_at IS NOT NULL AND (u.follows = 0 OR :follows = 1)
          AND EXISTS (SELECT 1 FROM inputs i WHERE i.run = u.run AND i.finished_at IS NULL)
        ORDER BY u.reopened_at, u.run LIMIT 1),
       (SELECT count(*) FROM (SELECT 1 FROM inputs
                              WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL AND phase = 'queued' AND run IS NULL
                                AND (deadline IS NULL OR deadline > :now)
                              ORDER BY admission LIMIT :count) AS waiting);

-- name: runs.entered
UPDATE runs SET reopened_at = NULL, aside = 0 WHERE run = :run;

-- name: runs.delete
-- One that never began: its batch could not be staged.
DELETE FROM runs WHERE run = :run;

-- name: runs.of_runtime
SELECT run FROM runs WHERE runtime = :runtime ORDER BY run;
