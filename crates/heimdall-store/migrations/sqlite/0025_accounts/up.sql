-- External approvers: they belong to the installation, not to an App.
CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    confirmed TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    password TEXT,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX accounts_leaving ON accounts (state) WHERE state <> 'active';

-- An identity has one account, and an account at most one identity of a provider. The plain id is taken once over all
-- providers, because steps may name it without the provider.
CREATE TABLE account_identities (
    provider TEXT NOT NULL,
    subject TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    email TEXT,
    name TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (provider, subject),
    UNIQUE (account_id, provider)
);

CREATE TABLE account_sessions (
    hash TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    agent TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX account_sessions_by_account ON account_sessions (account_id, since);
CREATE INDEX account_sessions_by_end ON account_sessions (until);

-- What waits for its one next step: log-ins at providers, forms, links in mails.
CREATE TABLE account_errands (
    id TEXT NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX account_errands_by_end ON account_errands (until);

-- Wrong passwords and mails asked for, by the hash of the address: known and unknown ones alike.
CREATE TABLE account_tries (
    id TEXT NOT NULL PRIMARY KEY,
    count BIGINT NOT NULL,
    since BIGINT NOT NULL
);
CREATE INDEX account_tries_by_time ON account_tries (since);

-- Whom an approval waits for, found over all Apps when somebody leaves.
CREATE INDEX approval_waits_by_holder ON approval_waits (holder);

-- Parked links, one-time values and used tokens are forgotten when their time is over.
ALTER TABLE records ADD COLUMN until BIGINT;
CREATE INDEX records_by_end ON records (until) WHERE until IS NOT NULL;
CREATE INDEX approvals_by_id ON approvals (id);
