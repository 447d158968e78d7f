CREATE TABLE apps (
    app_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- Raised by every decision over all of the App's authority.
    authority BIGINT NOT NULL,
    -- The number of the last change note.
    last_note BIGINT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE roles (
    app_id TEXT NOT NULL REFERENCES apps (app_id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (app_id, id),
    UNIQUE (app_id, name)
);

CREATE TABLE permissions (
    app_id TEXT NOT NULL REFERENCES apps (app_id) ON DELETE CASCADE,
    permission TEXT NOT NULL,
    description TEXT NOT NULL,
    PRIMARY KEY (app_id, permission)
);

CREATE TABLE users (
    app_id TEXT NOT NULL REFERENCES apps (app_id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    email TEXT NOT NULL,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (app_id, id),
    UNIQUE (app_id, email)
);

CREATE TABLE user_roles (
    app_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (app_id, user_id, role_id),
    FOREIGN KEY (app_id, user_id) REFERENCES users (app_id, id) ON DELETE CASCADE,
    FOREIGN KEY (app_id, role_id) REFERENCES roles (app_id, id)
);
CREATE INDEX user_roles_by_role ON user_roles (app_id, role_id, user_id);

CREATE TABLE credentials (
    app_id TEXT NOT NULL REFERENCES apps (app_id) ON DELETE CASCADE,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (app_id, id),
    UNIQUE (app_id, name)
);

CREATE TABLE credential_roles (
    app_id TEXT NOT NULL,
    credential_id TEXT NOT NULL,
    role_id TEXT NOT NULL,
    PRIMARY KEY (app_id, credential_id, role_id),
    FOREIGN KEY (app_id, credential_id) REFERENCES credentials (app_id, id) ON DELETE CASCADE,
    FOREIGN KEY (app_id, role_id) REFERENCES roles (app_id, id)
);

CREATE TABLE sessions (
    app_id TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    revoked BOOLEAN NOT NULL,
    expires_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (app_id, id),
    FOREIGN KEY (app_id, user_id) REFERENCES users (app_id, id) ON DELETE CASCADE
);
CREATE INDEX sessions_of ON sessions (app_id, user_id, id);

CREATE TABLE denied_tokens (
    app_id TEXT NOT NULL REFERENCES apps (app_id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (app_id, id)
);

CREATE TABLE invites (
    app_id TEXT NOT NULL REFERENCES apps (app_id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    max_uses BIGINT NOT NULL CHECK (max_uses >= 1),
    body TEXT NOT NULL,
    PRIMARY KEY (app_id, id),
    CHECK (uses BETWEEN 0 AND max_uses)
);
CREATE INDEX invites_ending ON invites (state, expires_at);

-- Whose authority changed: the latest note of each subject, numbered per App.
CREATE TABLE change_notes (
    app_id TEXT NOT NULL REFERENCES apps (app_id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (app_id, kind, subject)
);
CREATE INDEX change_notes_since ON change_notes (app_id, seq);

CREATE TABLE admin_keys (
    id TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    revoked BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL
);
