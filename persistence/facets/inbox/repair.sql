-- name: repair.any_unusual
-- Most inboxes have only what is queued or staged, and pay for this look alone.
SELECT 1 FROM inputs
WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL
  AND (durability = 'ephemeral' OR phase IN ('accepted', 'applied', 'applied_pending_consumption')) LIMIT 1;

-- name: repair.consume_committed
-- What it did is committed: the receipt that ended its run, or consumed it without one, is there.
UPDATE inputs SET phase = 'consumed', finished_at = :now, updated_at = :now, recoveries = recoveries + 1,
                  history = history || CASE phase WHEN 'applied' THEN :from_applied ELSE :from_pending END
WHERE runtime = :runtime AND finished_at IS NULL AND phase IN ('applied', 'applied_pending_consumption')
  AND EXISTS (SELECT 1 FROM receipts r WHERE r.run = inputs.run AND r.boundary IN ('run_start', 'immediate'));

-- name: repair.drop_payloads
DELETE FROM payloads WHERE input IN (SELECT input FROM inputs
                                     WHERE runtime = :runtime AND finished_at IS NULL AND durability = 'ephemeral');

-- name: repair.drop_ephemeral
DELETE FROM inputs WHERE runtime = :runtime AND finished_at IS NULL AND durability = 'ephemeral';

-- name: repair.requeue
-- One that is delayed waits on.
UPDATE inputs SET phase = 'queued', boundary = NULL, updated_at = :now, recoveries = recoveries + 1,
                  history = history || CASE phase WHEN 'accepted' THEN :from_accepted WHEN 'applied' THEN :from_applied
                                                  ELSE :from_pending END
WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL
  AND phase IN ('accepted', 'applied', 'applied_pending_consumption');

-- name: repair.reopen
-- What is queued again belongs to its run, which is entered again when it is the runtime's turn.
UPDATE runs SET reopened_at = :now, ended_at = NULL, outcome = NULL
WHERE run IN (SELECT run FROM inputs WHERE runtime = :runtime AND finished_at IS NULL AND run IS NOT NULL)
  AND run <> :current;

-- name: repair.any_of_run
SELECT 1 FROM inputs WHERE run = :run LIMIT 1;

-- name: repair.queue_brought
-- One that is delayed waits on.
UPDATE inputs SET phase = 'queued', updated_at = :now, history = history || :line
WHERE runtime = :runtime AND finished_at IS NULL AND due_at IS NULL AND phase = 'accepted' RETURNING lane;
