-- name: asks.input
SELECT input FROM inputs WHERE runtime = :runtime AND input_id = :input_id;

-- name: asks.insert
INSERT INTO asks (ask, run, place, target, input, response_id, correlation_id, digest, asked_at)
VALUES (:key, :run, :place, :target, :input, :response_id, :correlation_id, :digest, :now);

-- name: asks.count
-- How many wait for an input of a runtime: one that was never asked pays for no look.
UPDATE runtimes SET asked = :asked WHERE runtime = :runtime;

-- name: asks.count_open
SELECT count(*) FROM asks WHERE target = :target AND ended_at IS NULL;

-- name: asks.asked_by
-- Whom the current run of a runtime waits for.
SELECT t.runtime_id FROM runtimes r JOIN asks a ON a.run = r.run JOIN runtimes t ON t.runtime = a.target
WHERE r.runtime_id = :runtime_id AND a.ended_at IS NULL;

-- name: asks.of_place
SELECT ask, run, place, target, input, response_id, correlation_id, status, phase, reason, error, begun, digest, scheme
FROM asks WHERE run = :run AND place = :place;

-- name: asks.of_run
SELECT ask, run, place, target, input, response_id, correlation_id, status, phase, reason, error, begun, digest, scheme
FROM asks WHERE run = :run ORDER BY ask;

-- name: asks.open_of_run
SELECT ask, run, place, target, input, response_id, correlation_id, status, phase, reason, error, begun, digest, scheme
FROM asks WHERE run = :run AND ended_at IS NULL ORDER BY ask;

-- name: asks.ended
-- What a runtime was asked and has ended, or is not there any more; of a destroyed one all.
SELECT a.ask, a.run, a.place, a.target, a.input, a.response_id, a.correlation_id, a.status, a.phase, a.reason, a.error,
       a.begun, a.digest, a.scheme,
       i.input_id, i.phase, i.reason, i.error, i.run, i.boundary, u.runtime, t.runtime_id, u.ended_at IS NOT NULL
FROM asks a JOIN runs u ON u.run = a.run JOIN runtimes t ON t.runtime = u.runtime LEFT JOIN inputs i ON i.input = a.input
WHERE a.target = :target AND a.ended_at IS NULL AND (i.input IS NULL OR i.finished_at IS NOT NULL OR :destroyed = 1)
ORDER BY a.ask;

-- name: asks.result
SELECT run, boundary, input, result, digest, scheme FROM results
WHERE run = :run AND boundary = :boundary AND input IN (0, :input) ORDER BY input DESC LIMIT 1;

-- name: asks.end
UPDATE asks SET status = :status, phase = :phase, reason = :reason, error = :error, begun = :begun, digest = :digest,
                ended_at = :now
WHERE ask = :ask;

-- name: asks.abandon
-- Only what no run has taken.
UPDATE inputs SET phase = 'abandoned', reason = :reason, deadline = coalesce(deadline, :now), finished_at = :now,
                  updated_at = :now, history = history || :line
WHERE input = :input AND finished_at IS NULL AND run IS NULL RETURNING input_id, admission;

-- name: asks.came_back
UPDATE inputs SET run = :run, joined = :joined, extra = :extra, finished_at = :now WHERE input = :input;

-- name: asks.response
SELECT p.payload, i.payload_digest FROM inputs i LEFT JOIN payloads p ON p.input = i.input
WHERE i.runtime = :runtime AND i.input_id = :input_id;

-- name: asks.input_at
SELECT r.runtime_id, i.input_id FROM asks a JOIN inputs i ON i.input = a.input JOIN runtimes r ON r.runtime = a.target
WHERE a.run = :run AND a.place = :place;

-- name: asks.carry
UPDATE asks SET run = :into, place = '^' || place WHERE run = :run;

-- name: asks.carry_responses
UPDATE inputs SET run = :into WHERE run = :run AND joined = 0;

-- name: asks.waited_for
-- The oldest ask of the current run of a runtime that has no answer.
SELECT a.place, t.runtime_id, a.asked_at FROM runtimes r JOIN asks a ON a.run = r.run JOIN runtimes t ON t.runtime = a.target
WHERE r.runtime_id = :runtime_id AND a.ended_at IS NULL ORDER BY a.ask LIMIT 1;

-- name: asks.forget
DELETE FROM asks WHERE run = :run AND place = :place;

-- name: asks.move
UPDATE asks SET place = :into WHERE run = :run AND place = :place;
