-- Small documents of the approvals: API keys, definitions, groups, delegations, links, templates, applications.
CREATE TABLE records (
    app_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    lookup TEXT,
    body TEXT NOT NULL,
    PRIMARY KEY (app_id, kind, id)
);
CREATE UNIQUE INDEX records_found ON records (kind, lookup) WHERE lookup IS NOT NULL;
