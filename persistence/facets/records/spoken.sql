-- name: spoken.last
SELECT speech, run_id, attempt, number, total FROM output_chunks WHERE runtime = :runtime ORDER BY chunk DESC LIMIT 1;

-- name: spoken.oldest
SELECT chunk, entries, total, said_at FROM output_chunks WHERE runtime = :runtime ORDER BY chunk LIMIT :count;

-- name: spoken.insert
INSERT INTO output_chunks (chunk, runtime, run_id, speech, attempt, number, entries, total, digest, said_at, body)
VALUES (:chunk, :runtime, :run_id, :speech, :attempt, :number, :entries, :total, :digest, :now, :body);

-- name: spoken.holding
-- The chunk of a speech in which an entry of it stands.
SELECT chunk, entries, number FROM output_chunks
WHERE runtime = :runtime AND chunk >= :since AND speech = :speech AND number > :entry
ORDER BY chunk LIMIT 1;

-- name: spoken.delete
DELETE FROM output_chunks WHERE chunk = :chunk AND runtime = :runtime;

-- name: spoken.floor
INSERT INTO output_floors (runtime, chunk, entries, digest) VALUES (:runtime, :chunk, :entries, :digest)
ON CONFLICT (runtime) DO UPDATE SET chunk = excluded.chunk, entries = excluded.entries, digest = excluded.digest,
                                    scheme = excluded.scheme;

-- name: spoken.of_run
SELECT runtime, run_id FROM runs WHERE run = :run;

-- name: spoken.begin
UPDATE runs SET said = :chunk WHERE run = :run;

-- name: spoken.last_gone
-- The newest chunk that was deleted and is the floor of its runtime: no key of one comes again. What is no whole number is damage of
-- that runtime alone, and may not hide the floors of others; text and bytes would come first.
SELECT chunk FROM output_floors WHERE chunk <= 9223372036854775807 AND chunk = CAST(chunk AS BIGINT) ORDER BY chunk DESC LIMIT 1;

-- name: spoken.kind
SELECT kind FROM runtimes WHERE runtime = :runtime;
