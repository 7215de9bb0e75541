-- name: output.runtime
-- The floor of one that was erased only keeps a key.
SELECT r.runtime, r.state, f.chunk, f.entries, f.digest, f.scheme
FROM runtimes r LEFT JOIN output_floors f
  ON f.runtime = r.runtime AND NOT EXISTS (SELECT 1 FROM erasures e WHERE e.runtime = f.runtime)
WHERE r.runtime_id = :runtime_id;

-- name: output.floors
-- The highest first: whoever follows all has missed something where it stands before that.
SELECT runtime, chunk, entries, digest, scheme FROM output_floors f
WHERE NOT EXISTS (SELECT 1 FROM erasures e WHERE e.runtime = f.runtime) ORDER BY chunk DESC LIMIT 1;

-- name: output.head
SELECT coalesce(max(chunk), 0) FROM output_chunks;

-- name: output.moved
SELECT r.runtime_id FROM output_chunks c JOIN runtimes r ON r.runtime = c.runtime
WHERE c.chunk > :since ORDER BY c.chunk LIMIT :count;

-- name: output.sizes
-- And how many entries: a chunk of which all were given weighs nothing.
SELECT chunk, length(body), entries FROM output_chunks WHERE runtime = :runtime AND chunk >= :since ORDER BY chunk LIMIT :count;

-- name: output.sizes_of_all
SELECT chunk, length(body), entries FROM output_chunks WHERE chunk >= :since ORDER BY chunk LIMIT :count;

-- name: output.page
SELECT c.chunk, c.runtime, r.runtime_id, c.run_id, c.speech, c.attempt, c.number, c.entries, c.total, c.digest, c.scheme,
       c.said_at, c.body
FROM output_chunks c JOIN runtimes r ON r.runtime = c.runtime
WHERE c.runtime = :runtime AND c.chunk >= :since AND c.chunk <= :last ORDER BY c.chunk;

-- name: output.page_of_all
SELECT c.chunk, c.runtime, r.runtime_id, c.run_id, c.speech, c.attempt, c.number, c.entries, c.total, c.digest, c.scheme,
       c.said_at, c.body
FROM output_chunks c LEFT JOIN runtimes r ON r.runtime = c.runtime
WHERE c.chunk >= :since AND c.chunk <= :last ORDER BY c.chunk;

-- name: output.run
SELECT u.ended_at FROM runs u JOIN runtimes r ON r.runtime = u.runtime
WHERE r.runtime_id = :runtime_id AND u.run_id = :run_id;

-- name: output.show
-- Of the newest and the oldest the totals say how many entries there are.
SELECT (SELECT total FROM output_chunks WHERE runtime = :runtime ORDER BY chunk DESC LIMIT 1),
       (SELECT total - entries FROM output_chunks WHERE runtime = :runtime ORDER BY chunk LIMIT 1),
       (SELECT chunk FROM output_chunks WHERE runtime = :runtime ORDER BY chunk DESC LIMIT 1),
       (SELECT entries FROM output_chunks WHERE runtime = :runtime ORDER BY chunk DESC LIMIT 1);

-- name: output.strays
SELECT chunk FROM output_chunks c
WHERE NOT EXISTS (SELECT 1 FROM runtimes r WHERE r.runtime = c.runtime) ORDER BY chunk LIMIT :count;

-- name: output.stray_floors
SELECT runtime FROM output_floors f
WHERE NOT EXISTS (SELECT 1 FROM runtimes r WHERE r.runtime = f.runtime) ORDER BY runtime LIMIT :count;

-- name: output.unsaid
-- Runs that name a first chunk which is neither there nor gone.
SELECT u.run FROM runs u
WHERE u.said IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM output_chunks c WHERE c.chunk = u.said AND c.runtime = u.runtime)
  AND NOT EXISTS (SELECT 1 FROM output_floors f WHERE f.runtime = u.runtime AND f.chunk >= u.said)
ORDER BY u.run LIMIT :count;

-- name: output.old
-- Of runs that are over, or gone; never the newest of all, whose key must not come again.
SELECT c.chunk, c.said_at, (SELECT t.kind FROM runtimes t WHERE t.runtime = c.runtime) FROM output_chunks c
WHERE c.chunk > :after AND c.said_at < :before AND c.chunk < (SELECT max(chunk) FROM output_chunks)
  AND NOT EXISTS (SELECT 1 FROM runs u WHERE u.runtime = c.runtime AND u.run_id = c.run_id AND u.ended_at IS NULL)
ORDER BY c.chunk LIMIT :count;

-- name: output.aged
-- The oldest, in order, with whether they are too old, and of no run that goes on. Of the rest none is looked at.
SELECT c.chunk, c.said_at < :before,
       NOT EXISTS (SELECT 1 FROM runs u WHERE u.runtime = c.runtime AND u.run_id = c.run_id AND u.ended_at IS NULL),
       c.said_at, (SELECT t.kind FROM runtimes t WHERE t.runtime = c.runtime)
FROM output_chunks c
WHERE c.chunk > :after AND c.chunk < (SELECT max(chunk) FROM output_chunks)
ORDER BY c.chunk LIMIT :count;

-- name: output.judge
SELECT c.runtime, c.entries, c.said_at, (SELECT t.kind FROM runtimes t WHERE t.runtime = c.runtime) FROM output_chunks c
WHERE c.chunk = :chunk AND c.chunk < (SELECT max(chunk) FROM output_chunks)
  AND c.chunk = (SELECT min(o.chunk) FROM output_chunks o WHERE o.runtime = c.runtime)
  AND NOT EXISTS (SELECT 1 FROM runs u WHERE u.runtime = c.runtime AND u.run_id = c.run_id AND u.ended_at IS NULL);
