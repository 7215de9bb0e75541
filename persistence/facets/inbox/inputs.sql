-- name: inputs.by_key
SELECT input_id, payload_digest, phase, reason FROM inputs
WHERE runtime = :runtime AND idempotency_key = :idempotency_key;

-- name: inputs.count_unfinished_to
-- Counted no further than asked, over the partial index.
SELECT count(*) FROM (SELECT 1 FROM inputs WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL
                      ORDER BY admission LIMIT :count) AS unfinished;

-- name: inputs.count_delayed_to
SELECT count(*) FROM (SELECT 1 FROM inputs WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NOT NULL
                      LIMIT :count) AS delayed;

-- name: inputs.insert
-- Admission is the row's own key: later inputs come later, and nothing is counted. Only where a store verb has written a higher
-- one, which its caller chose, and that input waits, it is one above: of two that come side by side both may get it, and either is
-- the first.
INSERT INTO inputs (input, input_id, runtime, generation, admission, kind, lane, durability, source, idempotency_key,
                    payload_digest, seal, phase, attempts, fitted, deadline, due_at, created_at, updated_at, history)
VALUES (:key, :input_id, :runtime, :generation,
        (SELECT CASE WHEN max(w.admission) IS NULL OR max(w.admission) < :key THEN :key
                     WHEN max(w.admission) < 9223372036854775807 THEN max(w.admission) + 1 ELSE max(w.admission) END
         FROM inputs w WHERE w.runtime = :runtime AND w.finished_at IS NULL AND w.due_at IS NULL),
        :kind, :lane, :durability,
        :source, :idempotency_key, :payload_digest, :seal, :phase, 0, :fitted, :deadline, :due_at, :now, :now, :history);

-- name: inputs.insert_payload
INSERT INTO payloads (input, payload) VALUES (:input, :payload);

-- name: inputs.stage_oldest
UPDATE inputs SET phase = 'staged', run = :run, updated_at = :now, history = history || :line
WHERE input IN (SELECT input FROM inputs
                WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL AND phase = 'queued' AND lane = 'queue' AND run IS NULL
                  AND (deadline IS NULL OR deadline > :now)
                ORDER BY admission LIMIT :count)
RETURNING input_id, kind, source, idempotency_key, attempts, phase, joined, fitted, deadline, extra,
          (SELECT p.payload FROM payloads p WHERE p.input = inputs.input), payload_digest, admission, history;

-- name: inputs.stage_accepted
-- The one that this commit has inserted.
UPDATE inputs SET phase = 'staged', run = :run, updated_at = :now, history = :history WHERE input = :input;

-- name: inputs.stage_steered
-- What was sent to steer a run joins it at a checkpoint.
UPDATE inputs SET phase = 'staged', run = :run, joined = :joined, updated_at = :now, history = history || :line
WHERE input IN (SELECT input FROM inputs
                WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL AND phase = 'queued' AND lane = 'steer' AND run IS NULL
                  AND (deadline IS NULL OR deadline > :now)
                ORDER BY admission);

-- name: inputs.any_steering
SELECT 1 FROM inputs
WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL AND phase = 'queued' AND lane = 'steer' AND run IS NULL
  AND (deadline IS NULL OR deadline > :now)
ORDER BY admission LIMIT 1;

-- name: inputs.stage_oldest_of_any_lane
-- Without queued work, what was sent to steer begins another run.
UPDATE inputs SET phase = 'staged', run = :run, updated_at = :now, history = history || :line
WHERE input IN (SELECT input FROM inputs
                WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL AND phase = 'queued' AND run IS NULL
                  AND (deadline IS NULL OR deadline > :now)
                ORDER BY admission LIMIT :count)
RETURNING input_id, kind, source, idempotency_key, attempts, phase, joined, fitted, deadline, extra,
          (SELECT p.payload FROM payloads p WHERE p.input = inputs.input), payload_digest, admission, history;

-- name: inputs.restage
UPDATE inputs SET phase = 'staged', updated_at = :now, history = history || :line
WHERE run = :run AND finished_at IS NULL AND phase = 'queued';

-- name: inputs.batch
-- Every member of a run's batch, also those that it has consumed or rejected.
SELECT i.input_id, i.kind, i.source, i.idempotency_key, i.attempts, i.phase, i.joined, i.fitted, i.deadline, i.extra, p.payload,
       i.payload_digest
FROM inputs i LEFT JOIN payloads p ON p.input = i.input
WHERE i.run = :run AND (i.joined IS NULL OR i.joined > 0) ORDER BY i.admission;

-- name: inputs.joined
-- What joined a run at one checkpoint; a run that waits for years has many others.
SELECT i.input_id, i.kind, i.source, i.idempotency_key, i.attempts, i.phase, i.joined, i.fitted, i.deadline, i.extra, p.payload,
       i.payload_digest
FROM inputs i LEFT JOIN payloads p ON p.input = i.input
WHERE i.run = :run AND i.joined = :joined ORDER BY i.admission;

-- name: inputs.any_staged
SELECT 1 FROM inputs WHERE run = :run AND finished_at IS NULL AND phase = 'staged' LIMIT 1;

-- name: inputs.consume
UPDATE inputs SET phase = 'consumed', boundary = :boundary, finished_at = :now, updated_at = :now,
                  history = history || :line
WHERE run = :run AND finished_at IS NULL AND phase = 'staged' RETURNING input_id, admission;

-- name: inputs.fail
UPDATE inputs SET phase = 'queued', attempts = attempts + 1, error = :error, updated_at = :now, history = history || :line
WHERE run = :run AND finished_at IS NULL AND phase = 'staged';

-- name: inputs.exhaust
UPDATE inputs SET phase = 'abandoned', reason = :reason, attempts = attempts + 1, error = :error, finished_at = :now,
                  updated_at = :now, history = history || :line
WHERE run = :run AND finished_at IS NULL RETURNING input_id, admission;

-- name: inputs.consume_one
UPDATE inputs SET phase = 'consumed', boundary = :boundary, finished_at = :now, updated_at = :now,
                  history = history || :line
WHERE run = :run AND finished_at IS NULL AND phase = 'staged' AND input_id = :input_id RETURNING input_id, admission;

-- name: inputs.reject
UPDATE inputs SET phase = 'abandoned', reason = 'rejected', error = :error, finished_at = :now, updated_at = :now,
                  history = history || :line
WHERE run = :run AND finished_at IS NULL AND input_id = :input_id RETURNING input_id, admission;

-- name: inputs.abandon_run
UPDATE inputs SET phase = 'abandoned', reason = :reason, finished_at = :now, updated_at = :now, history = history || :line
WHERE run = :run AND finished_at IS NULL RETURNING input_id, admission;

-- name: inputs.cancel_queued
-- One that is not bound to a run; those of a run end with it.
UPDATE inputs SET phase = 'abandoned', reason = 'cancelled', finished_at = :now, updated_at = :now,
                  history = history || CASE WHEN due_at IS NULL THEN :line ELSE :from_accepted END
WHERE runtime = :runtime AND input_id = :input_id AND finished_at IS NULL AND run IS NULL RETURNING input_id, admission;

-- name: inputs.unfinished_of_run
SELECT 1 FROM inputs WHERE run = :run AND finished_at IS NULL AND input_id = :input_id;

-- name: inputs.abandon_all
-- What follows an abandoned batch is abandoned with the whole runtime alone.
UPDATE inputs SET phase = 'abandoned', reason = :reason, finished_at = :now, updated_at = :now, history = history || :line
WHERE runtime = :runtime AND finished_at IS NULL
  AND (:whole = 1 OR run IS NULL OR joined IS NOT NULL
       OR NOT EXISTS (SELECT 1 FROM runs u WHERE u.run = inputs.run AND u.follows = 1))
RETURNING input_id, admission;

-- name: inputs.requeue_staged
UPDATE inputs SET phase = 'queued', updated_at = :now, history = history || :line
WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL AND phase = 'staged';

-- name: inputs.release
-- One that joined a run and was never handed out.
UPDATE inputs SET phase = 'queued', run = NULL, joined = NULL, updated_at = :now, history = history || :line
WHERE run = :run AND finished_at IS NULL AND phase = 'staged' AND input_id = :input_id AND joined IS NOT NULL;

-- name: inputs.unbind
UPDATE inputs SET run = NULL, joined = NULL WHERE run = :run AND finished_at IS NULL;

-- name: inputs.any_unfinished
SELECT 1 FROM inputs WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL LIMIT 1;

-- name: inputs.any_to_abandon
SELECT 1 FROM inputs
WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL
  AND (run IS NULL OR joined IS NOT NULL OR NOT EXISTS (SELECT 1 FROM runs u WHERE u.run = inputs.run AND u.follows = 1))
LIMIT 1;

-- name: inputs.outcome
SELECT i.phase, i.reason, i.error, i.attempts, i.boundary, u.run_id, r.state
FROM inputs i JOIN runtimes r ON r.runtime = i.runtime LEFT JOIN runs u ON u.run = i.run
WHERE r.runtime_id = :runtime_id AND i.input_id = :input_id;

-- name: inputs.open_among
-- Which of these inputs have not ended, each in the runtime that it is of. The ids stand in one text, each as wide as the widest.
WITH RECURSIVE named (place, input_id) AS (
    SELECT 1, rtrim(substr(:input_ids, 1, :width))
    UNION ALL
    SELECT n.place + 1, rtrim(substr(:input_ids, n.place * :width + 1, :width)) FROM named n WHERE n.place < :count
)
SELECT r.runtime_id, i.input_id, i.phase
FROM named n JOIN inputs i ON i.input_id = n.input_id JOIN runtimes r ON r.runtime = i.runtime
WHERE i.finished_at IS NULL AND r.state <> 'destroyed';

-- name: inputs.id_of_key
SELECT i.input_id FROM inputs i JOIN runtimes r ON r.runtime = i.runtime
WHERE r.runtime_id = :runtime_id AND i.idempotency_key = :idempotency_key;

-- name: inputs.payload_of_key
SELECT p.payload FROM inputs i JOIN runtimes r ON r.runtime = i.runtime JOIN payloads p ON p.input = i.input
WHERE r.runtime_id = :runtime_id AND i.idempotency_key = :idempotency_key;

-- name: inputs.describe
-- What most inputs have not: kept apart, so that the many do not pay for the few.
UPDATE inputs SET supersession_key = :supersession_key, extra = :extra, phase = :phase, finished_at = :finished_at,
                  history = :history
WHERE input = :input;

-- name: inputs.bind
UPDATE inputs SET run = :run, boundary = :boundary WHERE input = :input;

-- name: inputs.to_front
-- One before the first that waits; where that is the lowest that there is, either is the first.
UPDATE inputs SET admission = (SELECT CASE WHEN min(o.admission) > -9223372036854775807 THEN min(o.admission) - 1
                                           ELSE min(o.admission) END FROM inputs o
                               WHERE o.runtime = inputs.runtime AND o.finished_at IS NULL AND o.due_at IS NULL)
WHERE input = :input;

-- name: inputs.replace
-- Those of one kind and key that still wait, and that no run has.
UPDATE inputs SET phase = :phase, successor = :successor, finished_at = :now, updated_at = :now, history = history || :line
WHERE runtime = :runtime AND kind = :kind AND supersession_key = :supersession_key AND finished_at IS NULL
  AND phase = 'queued' AND run IS NULL AND input <> :input
RETURNING input_id, admission;

-- name: inputs.readmit
-- A batch that cannot be staged goes after all that waits, with an attempt more.
UPDATE inputs SET phase = 'queued', run = NULL, joined = NULL, attempts = attempts + 1, error = :error, updated_at = :now,
                  admission = :admission, history = history || :line
WHERE run = :run AND finished_at IS NULL RETURNING input_id, attempts;

-- name: inputs.abandon_one
UPDATE inputs SET phase = 'abandoned', reason = :reason, finished_at = :now, updated_at = :now, history = history || :line
WHERE runtime = :runtime AND input_id = :input_id AND finished_at IS NULL;

-- name: inputs.backlog
SELECT count(*), min(created_at) FROM inputs WHERE finished_at IS NULL AND due_at IS NULL;
