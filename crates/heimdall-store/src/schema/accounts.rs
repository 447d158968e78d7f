diesel::table! {
    accounts (id) {
        id -> Text,
        email -> Text,
        confirmed -> Text,
        first_name -> Text,
        last_name -> Text,
        password -> Nullable<Text>,
        state -> Text,
        created_at -> BigInt,
        version -> BigInt,
    }
}

diesel::table! {
    account_identities (provider, subject) {
        provider -> Text,
        subject -> Text,
        account_id -> Text,
        email -> Nullable<Text>,
        name -> Text,
        since -> BigInt,
    }
}

diesel::table! {
    account_sessions (hash) {
        hash -> Text,
        account_id -> Text,
        agent -> Text,
        since -> BigInt,
        until -> BigInt,
    }
}

diesel::table! {
    account_errands (id) {
        id -> Text,
        until -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    account_tries (id) {
        id -> Text,
        count -> BigInt,
        since -> BigInt,
    }
}
