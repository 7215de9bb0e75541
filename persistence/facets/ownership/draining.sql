-- name: draining.describe
UPDATE hosts SET drain = :drain, max_owned = :max_owned WHERE host = :host;

-- name: draining.ask
UPDATE hosts SET drain = :drain WHERE incarnation = :incarnation AND closed_at IS NULL AND lost_at IS NULL;

-- name: draining.find
SELECT drain FROM hosts WHERE host = :host;
