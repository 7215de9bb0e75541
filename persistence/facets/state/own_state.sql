-- name: own_state.head
SELECT runtime, revision, names, digest, scheme FROM own_states WHERE runtime = :runtime;

-- name: own_state.begin
INSERT INTO own_states (runtime, revision, names, digest, scheme) VALUES (:runtime, :revision, :names, :digest, :scheme);

-- name: own_state.advance
UPDATE own_states SET revision = :revision, names = :names, digest = :digest, scheme = :scheme WHERE runtime = :runtime;

-- name: own_state.insert
INSERT INTO own_values (own_value, runtime, name, revision, digest, value)
VALUES (:key, :runtime, :name, :revision, :digest, :value);

-- name: own_state.note
INSERT INTO own_writes (own_write, runtime, run, boundary, revision, digest)
VALUES (:key, :runtime, :run, :boundary, :revision, :digest);

-- name: own_state.newest
SELECT value IS NOT NULL, revision FROM own_values WHERE runtime = :runtime AND name = :name ORDER BY revision DESC LIMIT 1;

-- name: own_state.names_of_run
SELECT DISTINCT v.runtime, v.name FROM own_writes w JOIN own_values v ON v.runtime = w.runtime AND v.revision = w.revision
WHERE w.run = :run ORDER BY v.name;

-- name: own_state.forget_writes
DELETE FROM own_writes WHERE run = :run;

-- name: own_state.replaced
-- Names whose value now is of this run: what a restart takes back.
SELECT DISTINCT v.name FROM own_writes w JOIN own_values v ON v.runtime = w.runtime AND v.revision = w.revision
WHERE w.run = :run AND w.taken_back = 0
  AND NOT EXISTS (SELECT 1 FROM own_values n
                  WHERE n.runtime = v.runtime AND n.name = v.name AND n.revision > v.revision
                    AND NOT EXISTS (SELECT 1 FROM own_writes o
                                    WHERE o.runtime = n.runtime AND o.revision = n.revision AND o.run = :run))
ORDER BY v.name;

-- name: own_state.before_run
-- The newest value that neither this run wrote, nor one that was taken back.
SELECT v.runtime, v.name, v.revision, v.value, v.digest, v.scheme FROM own_values v
WHERE v.runtime = :runtime AND v.name = :name
  AND NOT EXISTS (SELECT 1 FROM own_writes w
                  WHERE w.runtime = v.runtime AND w.revision = v.revision AND (w.run = :run OR w.taken_back = 1))
ORDER BY v.revision DESC LIMIT 1;

-- name: own_state.writes_of_run
SELECT runtime, run, boundary, revision, taken_back, digest, scheme FROM own_writes WHERE run = :run ORDER BY boundary;

-- name: own_state.take_back
UPDATE own_writes SET taken_back = 1, digest = :digest, scheme = :scheme WHERE run = :run AND boundary = :boundary;

-- name: own_state.trim
-- What another has replaced for good, what no run wrote that may be entered again, and none such sees.
DELETE FROM own_values
WHERE runtime = :runtime AND name = :name
  AND EXISTS (SELECT 1 FROM own_values n
              WHERE n.runtime = :runtime AND n.name = :name AND n.revision > own_values.revision
                AND NOT EXISTS (SELECT 1 FROM own_writes w WHERE w.runtime = :runtime AND w.revision = n.revision))
  AND NOT EXISTS (SELECT 1 FROM own_writes w
                  WHERE w.runtime = :runtime AND w.revision = own_values.revision AND w.taken_back = 0)
  AND NOT EXISTS (SELECT 1 FROM runs u
                  WHERE u.runtime = :runtime AND u.state_base > 0 AND u.state_base >= own_values.revision
                    AND (u.outcome IS NULL OR u.outcome NOT IN ('finished', 'restarted')) AND u.run <> :ending
                    AND NOT EXISTS (SELECT 1 FROM own_values x
                                    WHERE x.runtime = :runtime AND x.name = :name
                                      AND x.revision > own_values.revision AND x.revision <= u.state_base));

-- name: own_state.trim_deleted
-- That a name is gone need not be known where nothing is kept of it besides.
DELETE FROM own_values
WHERE runtime = :runtime AND name = :name AND value IS NULL
  AND NOT EXISTS (SELECT 1 FROM own_writes w WHERE w.runtime = :runtime AND w.revision = own_values.revision)
  AND NOT EXISTS (SELECT 1 FROM own_values x
                  WHERE x.runtime = :runtime AND x.name = :name AND x.revision <> own_values.revision);

-- name: own_state.seen
SELECT v.runtime, v.name, v.revision, v.value, v.digest, v.scheme
FROM runs u JOIN own_values v ON v.runtime = u.runtime AND v.revision <= u.state_base
WHERE u.run = :run AND v.name = :name ORDER BY v.revision DESC LIMIT 1;

-- name: own_state.all_seen
SELECT v.runtime, v.name, v.revision, v.value, v.digest, v.scheme
FROM runs u JOIN own_values v ON v.runtime = u.runtime AND v.revision <= u.state_base
WHERE u.run = :run AND v.value IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM own_values n
                  WHERE n.runtime = v.runtime AND n.name = v.name AND n.revision > v.revision
                    AND n.revision <= u.state_base)
ORDER BY v.name;

-- name: own_state.written
SELECT w.boundary, v.runtime, v.name, v.revision, v.value, v.digest, v.scheme
FROM own_writes w LEFT JOIN own_values v ON v.runtime = w.runtime AND v.revision = w.revision
WHERE w.run = :run ORDER BY w.boundary, v.name;

-- name: own_state.runtime
SELECT r.runtime, o.runtime, o.revision, o.names, o.digest, o.scheme
FROM runtimes r LEFT JOIN own_states o ON o.runtime = r.runtime WHERE r.runtime_id = :runtime_id;

-- name: own_state.now
SELECT v.runtime, v.name, v.revision, v.value, v.digest, v.scheme FROM own_values v
WHERE v.runtime = :runtime AND v.value IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM own_values n
                  WHERE n.runtime = v.runtime AND n.name = v.name AND n.revision > v.revision)
ORDER BY v.name;

-- name: own_state.values
SELECT v.own_value, v.runtime, v.name, v.revision, v.value, v.digest, v.scheme FROM own_values v
WHERE v.own_value > :after ORDER BY v.own_value LIMIT :count;

-- name: own_state.heads
-- Of a runtime that is being erased the values go page by page, and its head last.
SELECT o.runtime, o.revision, o.names, o.digest, o.scheme,
       (SELECT coalesce(max(v.revision), 0) FROM own_values v WHERE v.runtime = o.runtime),
       (SELECT count(*) FROM own_values v
        WHERE v.runtime = o.runtime AND v.value IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM own_values n
                          WHERE n.runtime = v.runtime AND n.name = v.name AND n.revision > v.revision)),
       (SELECT coalesce(max(u.state_base), 0) FROM runs u
        WHERE u.runtime = o.runtime AND u.state_base > 0
          AND (u.outcome IS NULL OR u.outcome NOT IN ('finished', 'restarted')))
FROM own_states o
WHERE o.runtime > :after AND NOT EXISTS (SELECT 1 FROM erasures e WHERE e.runtime = o.runtime)
ORDER BY o.runtime LIMIT :count;

-- name: own_state.writes
SELECT w.own_write, w.runtime, w.run, w.boundary, w.revision, w.taken_back, w.digest, w.scheme,
       w.taken_back = 1
       OR (SELECT v.revision FROM own_values v WHERE v.runtime = w.runtime AND v.revision = w.revision LIMIT 1) IS NOT NULL
FROM own_writes w
WHERE w.own_write > :after ORDER BY w.own_write LIMIT :count;
