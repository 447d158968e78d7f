-- The last links of the audit chain and of the feed. One row.
CREATE TABLE journal_head (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    audit_seq BIGINT NOT NULL,
    audit_hash BLOB NOT NULL,
    feed_position BIGINT NOT NULL
);
INSERT INTO journal_head (id, audit_seq, audit_hash, feed_position) VALUES (1, 0, zeroblob(32), 0);

CREATE TABLE audit (
    ord INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    app_id TEXT,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    data TEXT NOT NULL,
    content_hash BLOB NOT NULL,
    seq BIGINT UNIQUE,
    prev_hash BLOB,
    chain_hash BLOB
);
CREATE INDEX audit_by_app ON audit (app_id, seq);

CREATE TABLE audit_checkpoints (
    seq BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    chain_hash BLOB NOT NULL,
    token TEXT NOT NULL
);

CREATE TABLE feed (
    ord INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    app_id TEXT NOT NULL,
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    position BIGINT UNIQUE,
    UNIQUE (app_id, id)
);
CREATE INDEX feed_by_app ON feed (app_id, position);
CREATE INDEX feed_by_age ON feed (at);

CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    app_id TEXT,
    kind TEXT NOT NULL,
    recipient TEXT NOT NULL,
    data TEXT NOT NULL,
    due BIGINT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    leased_until BIGINT NOT NULL,
    died_at BIGINT,
    error TEXT
);
CREATE INDEX outbox_due ON outbox (state, due);

-- The registry is the tenants' affair (`body`); what a delivery needs has columns of its own.
CREATE TABLE webhooks (
    app_id TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    secrets TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (app_id, id)
);

CREATE TABLE webhook_deliveries (
    app_id TEXT NOT NULL,
    id TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    first_due BIGINT NOT NULL,
    due BIGINT NOT NULL,
    leased_until BIGINT NOT NULL,
    history TEXT NOT NULL,
    -- Only where there is no event of the feed behind it: a test.
    body TEXT,
    PRIMARY KEY (app_id, id),
    FOREIGN KEY (app_id, webhook_id) REFERENCES webhooks (app_id, id) ON DELETE CASCADE
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (state, due);
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (app_id, webhook_id, id);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    sealed BLOB,
    body TEXT NOT NULL
);

CREATE TABLE idempotency (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    state TEXT NOT NULL,
    answer BLOB,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_by_age ON idempotency (expires_at);

CREATE TABLE settings (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (scope, key)
);
