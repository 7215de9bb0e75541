-- name: lifecycle.bind
INSERT INTO bindings (runtime, fence_token, facts, digest) VALUES (:runtime, :fence_token, :facts, :digest)
ON CONFLICT (runtime) DO UPDATE
SET fence_token = excluded.fence_token, facts = excluded.facts, digest = excluded.digest, scheme = excluded.scheme;

-- name: lifecycle.record
SELECT r.record_version, r.state, r.generation, r.fence_token, r.epoch, b.fence_token, b.facts, b.digest, b.scheme
FROM runtimes r LEFT JOIN bindings b ON b.runtime = r.runtime WHERE r.runtime_id = :runtime_id;
