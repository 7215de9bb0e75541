-- name: ledger.entry
SELECT entry, source, model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, digest, scheme
FROM token_usage WHERE session = :session AND source = :source AND model = :model;

-- name: ledger.entries
SELECT entry, source, model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, digest, scheme
FROM token_usage WHERE session = :session ORDER BY source, model;

-- name: ledger.insert
INSERT INTO token_usage (entry, session, source, model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
                         reasoning_tokens, digest)
VALUES (:key, :session, :source, :model, :input_tokens, :output_tokens, :cache_read_tokens, :cache_write_tokens,
        :reasoning_tokens, :digest);

-- name: ledger.update
UPDATE token_usage
SET input_tokens = :input_tokens, output_tokens = :output_tokens, cache_read_tokens = :cache_read_tokens,
    cache_write_tokens = :cache_write_tokens, reasoning_tokens = :reasoning_tokens, digest = :digest, scheme = :scheme
WHERE entry = :entry;
