diesel::table! {
    apps (app_id) {
        app_id -> Text,
        name -> Text,
        state -> Text,
        version -> BigInt,
        authority -> BigInt,
        last_note -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    roles (app_id, id) {
        app_id -> Text,
        id -> Text,
        name -> Text,
        version -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    permissions (app_id, permission) {
        app_id -> Text,
        permission -> Text,
        description -> Text,
    }
}

diesel::table! {
    users (app_id, id) {
        app_id -> Text,
        id -> Text,
        email -> Text,
        state -> Text,
        version -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    user_roles (app_id, user_id, role_id) {
        app_id -> Text,
        user_id -> Text,
        role_id -> Text,
        at -> BigInt,
    }
}

diesel::table! {
    credentials (app_id, id) {
        app_id -> Text,
        id -> Text,
        name -> Text,
        version -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    credential_roles (app_id, credential_id, role_id) {
        app_id -> Text,
        credential_id -> Text,
        role_id -> Text,
    }
}

diesel::table! {
    sessions (app_id, id) {
        app_id -> Text,
        id -> Text,
        user_id -> Text,
        revoked -> Bool,
        expires_at -> BigInt,
        version -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    second_factors (app_id, user_id) {
        app_id -> Text,
        user_id -> Text,
        version -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    password_resets (app_id, user_id) {
        app_id -> Text,
        user_id -> Text,
        token_hash -> Text,
        expires_at -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    denied_tokens (app_id, id) {
        app_id -> Text,
        id -> Text,
        until -> BigInt,
    }
}

diesel::table! {
    invites (app_id, id) {
        app_id -> Text,
        id -> Text,
        token_hash -> Text,
        state -> Text,
        expires_at -> BigInt,
        version -> BigInt,
        uses -> BigInt,
        max_uses -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    change_notes (app_id, kind, subject) {
        app_id -> Text,
        kind -> Text,
        subject -> Text,
        seq -> BigInt,
        at -> BigInt,
    }
}

diesel::table! {
    admin_keys (id) {
        id -> Text,
        hash -> Text,
        revoked -> Bool,
        version -> BigInt,
        body -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(users, user_roles);
