-- name: state.snapshot
SELECT saved, tenant_id, sequence, snapshot, digest, scheme FROM execution_snapshots WHERE execution_id = :execution_id;

-- name: state.save_snapshot
INSERT INTO execution_snapshots (saved, execution_id, tenant_id, sequence, snapshot, digest, saved_at)
VALUES (:key, :execution_id, :tenant_id, :sequence, :snapshot, :digest, :now);

-- name: state.delete_snapshot
DELETE FROM execution_snapshots WHERE execution_id = :execution_id;

-- name: state.of_tenant
SELECT execution_id FROM execution_snapshots WHERE tenant_id = :tenant_id ORDER BY saved DESC LIMIT :count;

-- name: state.binding
SELECT r.runtime_id FROM execution_bindings b LEFT JOIN runtimes r ON r.runtime = b.runtime
WHERE b.execution_id = :execution_id;

-- name: state.bindings_between
SELECT b.execution_id, r.runtime_id FROM execution_bindings b LEFT JOIN runtimes r ON r.runtime = b.runtime
WHERE b.execution_id >= :first AND b.execution_id < :behind;

-- name: state.any_binding
SELECT 1 FROM execution_bindings LIMIT 1;

-- name: state.bind
INSERT INTO execution_bindings (binding, execution_id, runtime) VALUES (:key, :execution_id, :runtime);

-- name: state.entry
SELECT deadline FROM state_values WHERE value_key = :value_key;

-- name: state.entries
-- Those of at most 32 keys.
SELECT value_key, deadline FROM state_values WHERE value_key IN (
    :key_0, :key_1, :key_2, :key_3, :key_4, :key_5, :key_6, :key_7, :key_8, :key_9, :key_10, :key_11, :key_12, :key_13, :key_14, :key_15,
    :key_16, :key_17, :key_18, :key_19, :key_20, :key_21, :key_22, :key_23, :key_24, :key_25, :key_26, :key_27, :key_28, :key_29, :key_30, :key_31);

-- name: state.insert
INSERT INTO state_values (entry, value_key, deadline, digest, updated_at, value)
VALUES (:key, :value_key, :deadline, :digest, :now, :value);

-- name: state.put
-- In place of what is there, whose key stays.
INSERT INTO state_values (entry, value_key, deadline, digest, updated_at, value)
VALUES (:key, :value_key, :deadline, :digest, :now, :value)
ON CONFLICT (value_key) DO UPDATE
SET deadline = excluded.deadline, digest = excluded.digest, scheme = excluded.scheme, updated_at = excluded.updated_at, value = excluded.value;

-- name: state.value
SELECT value_key, value, deadline, digest, scheme FROM state_values WHERE value_key = :value_key;

-- name: state.values
SELECT value_key, value, deadline, digest, scheme FROM state_values WHERE value_key IN (
    :key_0, :key_1, :key_2, :key_3, :key_4, :key_5, :key_6, :key_7, :key_8, :key_9, :key_10, :key_11, :key_12, :key_13, :key_14, :key_15,
    :key_16, :key_17, :key_18, :key_19, :key_20, :key_21, :key_22, :key_23, :key_24, :key_25, :key_26, :key_27, :key_28, :key_29, :key_30, :key_31);

-- name: state.page
SELECT value_key, value, deadline, digest, scheme FROM state_values
WHERE value_key >= :first AND value_key < :behind ORDER BY value_key LIMIT :count;

-- name: state.page_after
SELECT value_key, value, deadline, digest, scheme FROM state_values
WHERE value_key > :after AND value_key < :behind ORDER BY value_key LIMIT :count;

-- name: state.page_back
SELECT value_key, value, deadline, digest, scheme FROM state_values
WHERE value_key >= :first AND value_key < :behind ORDER BY value_key DESC LIMIT :count;

-- name: state.renew
UPDATE state_values SET deadline = :deadline, digest = :digest, scheme = :scheme WHERE value_key = :value_key;

-- name: state.delete
DELETE FROM state_values WHERE value_key = :value_key;

-- name: state.delete_entry
DELETE FROM state_values WHERE entry = :entry;

-- name: state.delete_expired
DELETE FROM state_values WHERE value_key = :value_key AND deadline <= :now;

-- name: state.delete_between
-- By range, never by LIKE: an underscore in an id is a letter.
DELETE FROM state_values WHERE value_key >= :first AND value_key < :behind;

-- name: state.expired
SELECT entry FROM state_values WHERE deadline IS NOT NULL AND deadline <= :now ORDER BY deadline LIMIT :count;

-- name: state.clock
SELECT high_water, digest, scheme FROM state_clock WHERE singleton = 1;

-- name: state.begin_clock
INSERT INTO state_clock (singleton, high_water, digest) VALUES (1, :now, :digest);

-- name: state.raise_mark
UPDATE state_clock SET high_water = :now, digest = :digest, scheme = :scheme WHERE singleton = 1 AND high_water < :now;

-- name: state.keys
SELECT value_key FROM state_values WHERE value_key > :after ORDER BY value_key LIMIT :count;

-- name: state.executions
SELECT execution_id FROM execution_snapshots WHERE execution_id > :after ORDER BY execution_id LIMIT :count;

-- name: state.show
SELECT count(*), count(deadline) FROM state_values WHERE value_key >= :first AND value_key < :behind;
