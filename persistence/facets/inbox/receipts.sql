-- name: receipts.insert
INSERT INTO receipts (runtime, run, sequence, position, boundary, input_ids, conversation_digest, message_count, fence_token,
                      generation, durability, committed_at, host, group_number, chain)
VALUES (:runtime, :run, :sequence, :position, :boundary, :input_ids, :conversation_digest, :message_count, :fence_token,
        :generation, :durability, :now, :host, :group_number, :chain);

-- name: receipts.load
SELECT t.runtime_id, u.run_id, r.boundary, r.input_ids, r.conversation_digest, r.message_count, r.sequence,
       r.fence_token, r.generation, r.durability, r.committed_at, r.group_number
FROM receipts r JOIN runs u ON u.run = r.run JOIN runtimes t ON t.runtime = r.runtime
WHERE t.runtime_id = :runtime_id AND u.run_id = :run_id AND r.sequence = :sequence;

-- name: receipts.of_run
SELECT t.runtime_id, u.run_id, r.boundary, r.input_ids, r.conversation_digest, r.message_count, r.sequence,
       r.fence_token, r.generation, r.durability, r.committed_at, r.group_number
FROM receipts r JOIN runs u ON u.run = r.run JOIN runtimes t ON t.runtime = r.runtime
WHERE r.run = :run ORDER BY r.sequence;

-- name: receipts.exists
SELECT 1 FROM receipts WHERE run = :run AND sequence = :sequence;
