-- name: operations.save
INSERT INTO operations (runtime, record_version, epoch, snapshot, digest, updated_at)
VALUES (:runtime, :record_version, :epoch, :snapshot, :digest, :now)
ON CONFLICT (runtime) DO UPDATE
SET record_version = excluded.record_version, epoch = excluded.epoch, snapshot = excluded.snapshot,
    digest = excluded.digest, scheme = excluded.scheme, updated_at = excluded.updated_at;

-- name: operations.load
SELECT o.record_version, o.snapshot, o.epoch, o.digest, o.scheme FROM operations o JOIN runtimes r ON r.runtime = o.runtime
WHERE r.runtime_id = :runtime_id;

-- name: operations.delete
DELETE FROM operations WHERE runtime = :runtime;
