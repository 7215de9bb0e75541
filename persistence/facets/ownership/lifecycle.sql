-- name: lifecycle.bind
INSERT INTO bindings (runtime, fence_token, facts) VALUES (:runtime, :fence_token, :facts)
ON CONFLICT (runtime) DO UPDATE SET fence_token = excluded.fence_token, facts = excluded.facts;

-- name: lifecycle.record
SELECT r.record_version, r.state, r.generation, r.fence_token, r.epoch, b.fence_token, b.facts
FROM runtimes r LEFT JOIN bindings b ON b.runtime = r.runtime WHERE r.runtime_id = :runtime_id;
