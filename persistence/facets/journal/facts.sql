-- name: facts.find
SELECT fact, digest, scheme FROM facts WHERE fact_key = :fact_key;

-- name: facts.insert
INSERT INTO facts (fact, fact_key, form, digest, stored_at, value)
VALUES (:key, :fact_key, :form, :digest, :now, :value);

-- name: facts.touch
UPDATE facts SET stored_at = :now WHERE fact = :fact;

-- name: facts.load
SELECT form, value, digest, scheme FROM facts WHERE fact_key = :fact_key;

-- name: facts.refers
SELECT 1 FROM fact_references WHERE fact = :fact AND stream = :stream AND source = :source;

-- name: facts.refer
INSERT INTO fact_references (reference, fact, stream, source) VALUES (:key, :fact, :stream, :source);

-- name: facts.release
DELETE FROM fact_references WHERE stream = :stream AND source = :source;

-- name: facts.release_all
DELETE FROM fact_references WHERE stream = :stream;

-- name: facts.unreferenced
SELECT f.fact FROM facts f
WHERE f.fact > :after AND f.stored_at < :before
  AND NOT EXISTS (SELECT 1 FROM fact_references u WHERE u.fact = f.fact)
ORDER BY f.fact LIMIT :count;

-- name: facts.delete
DELETE FROM facts WHERE fact = :fact AND stored_at < :before
  AND NOT EXISTS (SELECT 1 FROM fact_references u WHERE u.fact = facts.fact);

-- name: facts.page
SELECT fact, fact_key FROM facts WHERE fact > :after ORDER BY fact LIMIT :count;

-- name: facts.missing
-- References to a fact that is not there.
SELECT u.reference, s.stream_id FROM fact_references u JOIN streams s ON s.stream = u.stream
WHERE NOT EXISTS (SELECT 1 FROM facts f WHERE f.fact = u.fact) ORDER BY u.reference LIMIT :count;
