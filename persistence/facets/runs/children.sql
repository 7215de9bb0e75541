-- name: children.insert
INSERT INTO children (child_key, parent, child, run, scope, on_end, digest, spawned_at)
VALUES (:key, :parent, :child, :run, :scope, :on_end, :digest, :now);

-- name: children.spawn_again
UPDATE children SET run = :run, scope = :scope, on_end = :on_end, digest = :digest, ended_at = NULL
WHERE child_key = :child_key;

-- name: children.by_child
SELECT child_key, parent, child, run, scope, on_end, digest, scheme FROM children WHERE child = :child;

-- name: children.of_run
SELECT c.child_key, c.parent, c.child, c.run, c.scope, c.on_end, c.digest, c.scheme, r.runtime_id
FROM children c JOIN runtimes r ON r.runtime = c.child WHERE c.run = :run ORDER BY c.child_key;

-- name: children.that_live
SELECT c.child_key, c.parent, c.child, c.run, c.scope, c.on_end, c.digest, c.scheme, r.runtime_id
FROM children c JOIN runtimes r ON r.runtime = c.child WHERE c.parent = :parent AND c.ended_at IS NULL ORDER BY c.child_key;

-- name: children.end
UPDATE children SET run = NULL, ended_at = :now WHERE child_key = :child_key;

-- name: children.carry
UPDATE children SET run = :into WHERE run = :run;

-- name: children.count
UPDATE runs SET children = (SELECT count(*) FROM children c WHERE c.run = runs.run) WHERE run = :run
RETURNING children;

-- name: children.of_runtime
SELECT c.child_key, c.parent, c.child, c.run, c.scope, c.on_end, c.digest, c.scheme, r.runtime_id, r.kind
FROM children c JOIN runtimes p ON p.runtime = c.parent JOIN runtimes r ON r.runtime = c.child
WHERE p.runtime_id = :runtime_id AND c.child_key > :after ORDER BY c.child_key LIMIT :count;

-- name: children.shown
-- Whose child a runtime is, and how many it has itself.
SELECT (SELECT p.runtime_id FROM children c JOIN runtimes p ON p.runtime = c.parent WHERE c.child = :runtime),
       (SELECT count(*) FROM children c WHERE c.parent = :runtime);
