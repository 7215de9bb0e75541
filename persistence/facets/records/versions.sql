-- name: versions.register
INSERT INTO versions (version_key, kind, version, registered_at) VALUES (:key, :kind, :version, :now);

-- name: versions.age
SELECT version_key FROM versions WHERE kind = :kind AND version = :version;

-- name: versions.all
SELECT kind, version, version_key FROM versions;

-- name: versions.recorded
-- A mark of a patch is recorded by the version that first answered, too.
SELECT 1 FROM entries WHERE run = :run LIMIT 1;

-- name: versions.waiting
-- The run that a runtime would enter next, of those that are there.
SELECT u.version, u.attempts, u.ways, EXISTS (SELECT 1 FROM entries e WHERE e.run = u.run)
FROM runs u
WHERE u.runtime = :runtime AND (u.run = :run OR (CAST(:run AS BIGINT) IS NULL AND u.reopened_at IS NOT NULL
  AND EXISTS (SELECT 1 FROM inputs i WHERE i.run = u.run AND i.finished_at IS NULL)))
ORDER BY u.reopened_at, u.run LIMIT 1;
