diesel::table! {
    journal_head (id) {
        id -> BigInt,
        audit_seq -> BigInt,
        audit_hash -> Binary,
        feed_position -> BigInt,
    }
}

diesel::table! {
    audit (ord) {
        ord -> BigInt,
        app_id -> Nullable<Text>,
        at -> BigInt,
        actor -> Text,
        action -> Text,
        target -> Text,
        data -> Text,
        content_hash -> Binary,
        seq -> Nullable<BigInt>,
        prev_hash -> Nullable<Binary>,
        chain_hash -> Nullable<Binary>,
    }
}

diesel::table! {
    audit_checkpoints (seq) {
        seq -> BigInt,
        at -> BigInt,
        chain_hash -> Binary,
        token -> Text,
    }
}

diesel::table! {
    feed (ord) {
        ord -> BigInt,
        app_id -> Text,
        id -> Text,
        at -> BigInt,
        kind -> Text,
        data -> Text,
        position -> Nullable<BigInt>,
    }
}

diesel::table! {
    outbox (id) {
        id -> Text,
        app_id -> Nullable<Text>,
        kind -> Text,
        recipient -> Text,
        data -> Text,
        due -> BigInt,
        state -> Text,
        attempts -> BigInt,
        leased_until -> BigInt,
        died_at -> Nullable<BigInt>,
        error -> Nullable<Text>,
    }
}

diesel::table! {
    webhooks (app_id, id) {
        app_id -> Text,
        id -> Text,
        version -> BigInt,
        url -> Text,
        events -> Text,
        enabled -> Bool,
        secrets -> Text,
        body -> Text,
    }
}

diesel::table! {
    webhook_deliveries (app_id, id) {
        app_id -> Text,
        id -> Text,
        webhook_id -> Text,
        event_id -> Text,
        state -> Text,
        attempts -> BigInt,
        first_due -> BigInt,
        due -> BigInt,
        leased_until -> BigInt,
        history -> Text,
        body -> Nullable<Text>,
    }
}

diesel::table! {
    signing_keys (kid) {
        kid -> Text,
        version -> BigInt,
        sealed -> Nullable<Binary>,
        body -> Text,
    }
}

diesel::table! {
    idempotency (scope, key) {
        scope -> Text,
        key -> Text,
        fingerprint -> Binary,
        state -> Text,
        answer -> Nullable<Binary>,
        expires_at -> BigInt,
    }
}

diesel::table! {
    settings (scope, key) {
        scope -> Text,
        key -> Text,
        version -> BigInt,
        body -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    journal_head,
    audit,
    audit_checkpoints,
    feed,
    outbox,
    webhooks,
    webhook_deliveries,
    signing_keys,
    idempotency,
    settings,
);
