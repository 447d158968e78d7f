diesel::table! {
    approvals (app_id, id) {
        app_id -> Text,
        id -> Text,
        version -> BigInt,
        state -> Text,
        due -> Nullable<BigInt>,
    }
}

diesel::table! {
    approval_events (app_id, approval_id, seq) {
        app_id -> Text,
        approval_id -> Text,
        seq -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    approval_waits (app_id, holder, approval_id) {
        app_id -> Text,
        holder -> Text,
        approval_id -> Text,
    }
}

diesel::table! {
    requests (app_id, id) {
        app_id -> Text,
        id -> Text,
        version -> BigInt,
        session_id -> BigInt,
        approval_id -> Text,
        requester_id -> Text,
        state -> Text,
        body -> Text,
    }
}

diesel::table! {
    grants (app_id, id) {
        app_id -> Text,
        id -> Text,
        version -> BigInt,
        user_id -> Text,
        role -> Text,
        state -> Text,
        live -> Bool,
        starts_at -> BigInt,
        ends_at -> BigInt,
        due -> Nullable<BigInt>,
        request_id -> Text,
    }
}

diesel::table! {
    notification_configs (app_id, id) {
        app_id -> Text,
        id -> Text,
        version -> BigInt,
        name -> Text,
        body -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(approval_waits, approvals, requests);
