-- name: results.insert
INSERT INTO results (result_key, run, boundary, input, digest, result)
VALUES (:key, :run, :boundary, :input, :digest, :result);

-- name: results.member
SELECT input FROM inputs WHERE run = :run AND input_id = :input_id AND finished_at IS NULL;

-- name: results.of_input
-- Its own, else that of all that its run consumed at the same boundary.
SELECT a.run, a.boundary, a.input, a.result, a.digest, a.scheme
FROM inputs i JOIN runtimes r ON r.runtime = i.runtime JOIN results a ON a.run = i.run AND a.boundary = i.boundary
WHERE r.runtime_id = :runtime_id AND i.input_id = :input_id AND i.phase = 'consumed' AND a.input IN (0, i.input)
ORDER BY a.input DESC LIMIT 1;

-- name: results.of_run
SELECT run, boundary, input, result, digest, scheme FROM results WHERE run = :run ORDER BY result_key;
