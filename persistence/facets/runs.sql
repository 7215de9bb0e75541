-- name: runs.insert
INSERT INTO runs (run_id, runtime, attempts, base, base_count, boundaries, started_at)
VALUES (:run_id, :runtime, 0, :base, :base_count, 0, :now) RETURNING run;

-- name: runs.load
SELECT run, run_id, attempts, base, base_count, boundaries, retry_at FROM runs WHERE run = :run;

-- name: runs.update
UPDATE runs SET attempts = :attempts, boundaries = :boundaries, retry_at = :retry_at, error = :error WHERE run = :run;

-- name: runs.end
UPDATE runs SET boundaries = :boundaries, attempts = :attempts, error = :error, outcome = :outcome, ended_at = :now,
                retry_at = NULL
WHERE run = :run;
