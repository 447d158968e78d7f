//! One suite of claims; each runs on a database in memory, on a SQLite file and on a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on must stop"
)]

#[path = "contract/accounts.rs"]
mod accounts;
#[path = "contract/approval.rs"]
mod approval;
#[path = "contract/foundation.rs"]
mod foundation;
#[path = "contract/tenant.rs"]
mod tenant;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use heimdall_store::{Store, StoreSettings};
use heimdall_testkit::Postgres;

/// One server for all tests of this process; every test has its own database.
fn postgres() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(Postgres::start)
}

fn folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "heimdall-store-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::SeqCst)
    );
    std::env::temp_dir().join(name)
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn memory() -> (Store, Option<Folder>) {
    (Store::memory().unwrap(), None)
}

fn sqlite() -> (Store, Option<Folder>) {
    let folder = Folder(folder());
    let settings = StoreSettings::new(format!("sqlite://{}/heimdall.db", folder.0.display()));
    (Store::open(&settings).unwrap(), Some(folder))
}

fn on_postgres() -> (Store, Option<Folder>) {
    let mut settings = StoreSettings::new(postgres().database());
    settings.manage_schema = true;
    (settings.readers, settings.writers) = (Some(2), Some(3));
    (Store::open(&settings).unwrap(), None)
}

macro_rules! contract {
    ($($slice:ident: $($claim:ident)*;)*) => {
        contract!(@ memory memory $($slice: $($claim)*;)*);
        contract!(@ sqlite sqlite $($slice: $($claim)*;)*);
        contract!(@ postgres on_postgres $($slice: $($claim)*;)*);
    };
    (@ $backend:ident $open:ident $($slice:ident: $($claim:ident)*;)*) => {
        mod $backend {$(
            mod $slice {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $claim() {
                    let (store, _folder) = crate::$open();
                    crate::$slice::$claim(store).await;
                }
            )*}
        )*}
    };
}

contract! {
    accounts:
        an_identity_has_one_account_and_an_account_one_identity_of_a_provider
        what_is_pending_is_taken_by_one_of_many;
    approval:
        of_many_decisions_at_once_one_counts
        records_belong_to_one_app_and_names_are_taken_once
        an_api_key_is_found_by_itself_and_good_where_and_when_it_says
        approvals_are_listed_newest_first_in_their_app;
    foundation:
        a_lease_is_held_by_one_until_it_ends
        a_buried_notice_stays_visible_and_can_be_sent_again
        an_undone_document_leaves_no_audit_behind
        only_one_of_many_writers_wins_a_version
        the_feed_is_read_on_from_where_it_was_left
        a_commit_is_told_to_those_who_subscribed
        an_idempotency_key_answers_for_the_first_request
        a_journal_of_another_app_is_refused
        every_row_of_many_writers_is_chained
        a_dump_fills_an_empty_database_of_either_kind
        a_restore_ends_what_could_be_used_twice_and_says_so
        keys_are_kept_and_removed_ones_not_given_out
        the_audit_is_shown_by_page_and_filter_and_signed;
    tenant:
        a_login_carries_what_its_roles_hold
        a_taken_role_is_gone_for_tokens_that_were_issued_before
        a_suspended_user_and_a_suspended_app_have_no_good_token
        nobody_grants_what_he_does_not_hold
        the_last_who_may_assign_roles_stays
        a_role_in_use_cannot_be_deleted
        a_foreign_app_looks_like_an_absent_one
        a_client_rotates_its_secret_without_an_outage
        a_scope_narrows_and_cannot_widen
        a_refresh_token_has_one_successor_and_its_reuse_ends_the_family
        failed_logins_lock_known_and_unknown_accounts_alike
        a_code_and_a_recovery_code_count_once_over_all_instances
        wrong_codes_lock_the_second_step_and_a_first_step_is_bound_to_its_password
        a_forgotten_password_is_chosen_anew_once_and_ends_every_session
        the_mail_of_an_invite_carries_its_token
        an_invite_is_used_once_by_fifty_at_two_instances
        invites_expire_and_can_be_withdrawn
        another_instance_forgets_what_a_commit_names
        a_revoked_admin_key_opens_nothing
        names_and_addresses_are_taken_once
        a_purged_user_and_a_purged_app_leave_no_rows
        a_revoked_token_and_an_exchanged_one
        the_operator_mints_for_a_user_and_imports_users
        webhooks_and_the_catalogue_are_registered;
}
