-- name: chain.insert
INSERT INTO links (runtime, position, event, detail, fence_token, generation, committed_at, group_number, chain)
VALUES (:runtime, :position, :event, :detail, :fence_token, :generation, :now, :group_number, :chain);

-- name: chain.of_runtime
SELECT t.runtime_id, l.event, l.detail, l.fence_token, l.generation, l.committed_at, l.group_number, l.position, l.chain
FROM links l JOIN runtimes t ON t.runtime = l.runtime
WHERE l.runtime = :runtime ORDER BY l.position;
