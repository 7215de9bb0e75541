-- Statements as groups have them: what a group reads in order to write it stays as it is up to its end.

-- name: runtimes.load
-- Also of a runtime that the group reached without naming it, and so has not locked yet.
SELECT runtime, runtime_id, kind, state, generation, fence_token, epoch, owner, held, held_detail,
       session, run, crashes, failures, boundaries, chain, record_version, asked, aside, events
FROM runtimes WHERE runtime_id = :runtime_id FOR NO KEY UPDATE;

-- name: snapshots.session_by_id
-- A conversation that belongs to no runtime yet: whoever writes a snapshot of it first has it.
SELECT session, session_id, runtime, revision, head, message_count, digest FROM sessions WHERE session_id = :session_id
FOR NO KEY UPDATE;

-- name: holds.find
-- Also of a runtime that is not there yet.
SELECT since FROM holds WHERE runtime_id = :runtime_id OR kind = :kind LIMIT 1 FOR UPDATE;

-- name: asks.asked_by
-- Each runtime of the chain that a look for circles walks: none of them asks anybody until the ask that looks has landed.
SELECT t.runtime_id FROM runtimes r JOIN asks a ON a.run = r.run JOIN runtimes t ON t.runtime = a.target
WHERE r.runtime_id = :runtime_id AND a.ended_at IS NULL FOR NO KEY UPDATE OF t;

-- name: inputs.stage_oldest
-- The choice is a table, so that it can be made for many at once.
UPDATE inputs SET phase = 'staged', run = :run, updated_at = :now, history = history || :line
FROM (SELECT w.input AS oldest FROM inputs w
      WHERE w.runtime = :runtime AND w.finished_at IS NULL AND w.due_at IS NULL AND w.phase = 'queued' AND w.lane = 'queue'
        AND w.run IS NULL AND (w.deadline IS NULL OR w.deadline > :now)
      ORDER BY w.admission LIMIT :count) AS chosen
WHERE input = chosen.oldest
RETURNING input_id, kind, source, idempotency_key, attempts, phase, joined, fitted, deadline, extra,
          (SELECT p.payload FROM payloads p WHERE p.input = inputs.input), payload_digest, admission, history;

-- name: inputs.stage_oldest_of_any_lane
UPDATE inputs SET phase = 'staged', run = :run, updated_at = :now, history = history || :line
FROM (SELECT w.input AS oldest FROM inputs w
      WHERE w.runtime = :runtime AND w.finished_at IS NULL AND w.due_at IS NULL AND w.phase = 'queued'
        AND w.run IS NULL AND (w.deadline IS NULL OR w.deadline > :now)
      ORDER BY w.admission LIMIT :count) AS chosen
WHERE input = chosen.oldest
RETURNING input_id, kind, source, idempotency_key, attempts, phase, joined, fitted, deadline, extra,
          (SELECT p.payload FROM payloads p WHERE p.input = inputs.input), payload_digest, admission, history;

-- name: inputs.consume
-- By the index of its run, and never over all that is unfinished: of that there may be little where this is planned.
UPDATE inputs SET phase = 'consumed', boundary = :boundary, finished_at = :now, updated_at = :now,
                  history = history || :line
WHERE run = :run AND (finished_at IS NULL) IS TRUE AND phase = 'staged' RETURNING input_id, admission;
