diesel::table! {
    records (app_id, kind, id) {
        app_id -> Text,
        kind -> Text,
        id -> Text,
        version -> BigInt,
        lookup -> Nullable<Text>,
        body -> Text,
        until -> Nullable<BigInt>,
    }
}
