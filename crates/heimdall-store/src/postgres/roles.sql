DO $$
DECLARE
    name text;
    target record;
BEGIN
    FOREACH name IN ARRAY ARRAY['heimdall_app', 'heimdall_system'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            END IF;
        -- Roles belong to the whole server: another database's migration may create them at this moment.
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
        IF NOT pg_has_role(current_user, name, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO %I', name, current_user);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), name);
        EXECUTE format('GRANT USAGE, UPDATE ON ALL SEQUENCES IN SCHEMA %I TO %I', current_schema(), name);
    END LOOP;

    FOR target IN
        SELECT c.oid, c.relname AS tab,
               EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'app_id' AND NOT a.attisdropped) AS tenant,
               c.relrowsecurity AND c.relforcerowsecurity
                   AND (SELECT count(*) = 2 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname IN ('of_app', 'across_apps')) AS guarded
        FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
    LOOP
        IF target.tab = '__diesel_schema_migrations' THEN
            EXECUTE format('GRANT SELECT ON %I TO heimdall_app, heimdall_system', target.tab);
            -- The login itself checks at start that the schema is not older than the program.
            EXECUTE format('GRANT SELECT ON %I TO PUBLIC', target.tab);
            CONTINUE;
        END IF;
        IF target.tab = 'audit' THEN
            -- Append-only: what a row says can never be changed, its links only by the chainer.
            EXECUTE 'GRANT SELECT, INSERT ON audit TO heimdall_app, heimdall_system';
            EXECUTE 'GRANT UPDATE (seq, prev_hash, chain_hash) ON audit TO heimdall_system';
        ELSIF target.tab IN ('signing_keys', 'idempotency', 'audit_checkpoints', 'journal_head', 'admin_keys',
                            'accounts', 'account_identities', 'account_sessions', 'account_errands', 'account_tries') THEN
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO heimdall_system', target.tab);
        ELSE
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO heimdall_app, heimdall_system', target.tab);
        END IF;
        -- Only what is missing: these statements lock the table, and other instances are at work.
        IF (target.tab = 'settings' OR target.tenant) AND NOT target.guarded THEN
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', target.tab);
            EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', target.tab);
            -- Without a second argument an unset App is an error, not an empty answer.
            EXECUTE format(
                'CREATE POLICY of_app ON %I TO heimdall_app USING (%I = current_setting(''heimdall.app_id''))',
                target.tab, CASE WHEN target.tenant THEN 'app_id' ELSE 'scope' END);
            EXECUTE format('CREATE POLICY across_apps ON %I TO heimdall_system USING (true)', target.tab);
        END IF;
    END LOOP;
END
$$;
