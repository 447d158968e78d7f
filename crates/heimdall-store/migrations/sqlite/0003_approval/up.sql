CREATE TABLE approvals (
    app_id TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    due BIGINT,
    PRIMARY KEY (app_id, id)
);
CREATE INDEX approvals_due ON approvals (due) WHERE due IS NOT NULL;

-- The log that each approval's state adds up to.
CREATE TABLE approval_events (
    app_id TEXT NOT NULL,
    approval_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (app_id, approval_id, seq),
    FOREIGN KEY (app_id, approval_id) REFERENCES approvals (app_id, id) ON DELETE CASCADE
);

-- Whom an open approval waits for: `email:ADDRESS`, `user:ID`, `account:ID`.
CREATE TABLE approval_waits (
    app_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    approval_id TEXT NOT NULL,
    PRIMARY KEY (app_id, holder, approval_id),
    FOREIGN KEY (app_id, approval_id) REFERENCES approvals (app_id, id) ON DELETE CASCADE
);
CREATE INDEX approval_waits_of ON approval_waits (app_id, approval_id);

CREATE TABLE requests (
    app_id TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    session_id BIGINT NOT NULL UNIQUE,
    approval_id TEXT NOT NULL,
    requester_id TEXT NOT NULL,
    state TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (app_id, id),
    UNIQUE (app_id, approval_id),
    FOREIGN KEY (app_id, approval_id) REFERENCES approvals (app_id, id) ON DELETE CASCADE
);
CREATE INDEX requests_of ON requests (app_id, requester_id, id);
CREATE INDEX requests_in ON requests (app_id, state, id);

CREATE TABLE grants (
    app_id TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    state TEXT NOT NULL,
    live BOOLEAN NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    due BIGINT,
    request_id TEXT NOT NULL,
    PRIMARY KEY (app_id, id),
    FOREIGN KEY (app_id, request_id) REFERENCES requests (app_id, id) ON DELETE CASCADE
);
CREATE INDEX grants_of ON grants (app_id, user_id, live);
CREATE INDEX grants_by_request ON grants (app_id, request_id);
CREATE INDEX grants_due ON grants (due) WHERE due IS NOT NULL;

CREATE TABLE notification_configs (
    app_id TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (app_id, id),
    UNIQUE (app_id, name)
);
