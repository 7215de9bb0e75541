-- Statements as groups have them: what a group reads in order to write it stays as it is up to its end.

-- name: runtimes.load
-- Also of a runtime that the group reached without naming it, and so has not locked yet.
SELECT runtime, runtime_id, kind, state, generation, fence_token, epoch, owner, held, held_detail,
       session, run, crashes, failures, boundaries, chain, record_version, asked, aside, events
FROM runtimes WHERE runtime_id = :runtime_id FOR NO KEY UPDATE;
