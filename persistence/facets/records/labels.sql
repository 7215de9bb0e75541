-- name: labels.insert
INSERT INTO labels (label, runtime, name, value, runtime_id) VALUES (:key, :runtime, :name, :value, :runtime_id);

-- name: labels.update
UPDATE labels SET value = :value WHERE runtime = :runtime AND name = :name;

-- name: labels.delete
DELETE FROM labels WHERE runtime = :runtime AND name = :name;

-- name: labels.of_runtime
SELECT name, value, runtime_id FROM labels WHERE runtime = :runtime ORDER BY name;

-- name: labels.set
SELECT revision, digest, scheme FROM label_sets WHERE runtime = :runtime;

-- name: labels.seal
-- Or in place of what was said before of the same runtime.
INSERT INTO label_sets (runtime, revision, digest, scheme, labelled_at) VALUES (:runtime, :revision, :digest, 1, :now)
ON CONFLICT (runtime) DO UPDATE
SET revision = excluded.revision, digest = excluded.digest, scheme = excluded.scheme, labelled_at = excluded.labelled_at;

-- name: labels.after
-- By the index alone, as the next one.
SELECT runtime_id FROM labels WHERE name = :name AND value = :value AND runtime_id > :place ORDER BY runtime_id LIMIT :count;

-- name: labels.at_least
SELECT runtime_id FROM labels WHERE name = :name AND value = :value AND runtime_id >= :place ORDER BY runtime_id LIMIT :count;
