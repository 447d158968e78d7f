use std::time::Duration;

use heimdall_types::{Email, Secret};
use serde_json::json;

use super::account::OneTime;
use super::ports::{AccountChange, AccountTransition};
use super::profile::taken;
use super::provider::Leg;
use super::session::owner;
use super::{
    Account, AccountError, AccountState, Accounts, Confirmed, Errand, LoggedIn, MAIL_LIFE,
    ProviderProfile, fingerprint,
};

/// So long somebody may take to log in at the provider, and to fill in the form afterwards.
const FLOW_LIFE: Duration = Duration::from_secs(15 * 60);
/// So many mails one address gets of us within a quarter of an hour, whoever asks for them.
const MAILS: u32 = 5;

/// A log-in at a provider that begins.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Where the browser goes.
    pub location: String,
    /// What the browser keeps in a cookie until it comes back.
    pub browser: Secret,
}

/// What the provider's redirect brought back.
#[derive(Debug, Clone, Default)]
pub struct Callback {
    /// The code.
    pub code: Option<String>,
    /// What we gave along.
    pub state: String,
    /// Why there is no code.
    pub error: Option<String>,
    /// Who answers (RFC 9207).
    pub iss: Option<String>,
}

/// Where somebody stands who came back from a provider.
#[derive(Debug, Clone)]
pub enum Arrival {
    /// Logged in, and linked if that was still to be done.
    LoggedIn {
        /// The value of the session cookie.
        cookie: Secret,
        /// Where to go.
        next: String,
    },
    /// Was logged in, and is linked now.
    Linked {
        /// Where to go.
        next: String,
    },
    /// Unknown: fills in the form under this ticket.
    Activate {
        /// What the browser keeps meanwhile.
        ticket: Secret,
    },
    /// Nothing is linked; a mail asks the owner of this address.
    Mailed {
        /// The address.
        email: Email,
    },
}

impl Accounts {
    /// Begins a log-in at a provider. `browser` is what the browser kept from an earlier one, if anything.
    ///
    /// # Errors
    /// `UnknownProvider`; `Provider` or `Fault` when its metadata cannot be had.
    pub async fn begin_oauth(
        &self,
        provider: &str,
        next: &str,
        who: Option<&LoggedIn>,
        browser: Option<&str>,
    ) -> Result<Begun, AccountError> {
        let at = self.provider(provider)?;
        let state = self.random();
        let browser = match browser.filter(|kept| kept.len() >= 40 && kept.len() <= 64) {
            Some(kept) => kept.to_owned(),
            None => self.random(),
        };
        let location = at.authorize(&self.leg(provider, &state)).await?;
        let errand = Errand::Flow {
            provider: provider.to_owned(),
            browser: fingerprint(&browser),
            next: next.to_owned(),
            account: who.map(|who| who.account.id.clone()),
        };
        self.keep(&format!("flow {state}"), errand, FLOW_LIFE)
            .await?;
        Ok(Begun {
            location,
            browser: browser.into(),
        })
    }

    // Nonce and PKCE verifier follow from `state` and the root key: nothing of them is stored.
    fn leg(&self, provider: &str, state: &str) -> Leg {
        Leg {
            state: state.to_owned(),
            nonce: self.derived("account-nonce", state),
            verifier: self.derived("account-pkce", state),
            redirect_uri: format!("{}/account/oauth/{provider}/callback", self.on().base_url),
        }
    }

    /// Ends a log-in at a provider: each once, and in the browser in which it began.
    ///
    /// # Errors
    /// `ForeignFlow` for a state that is unknown, used, over or of another browser; `Provider` when the provider or
    /// what it says cannot be believed; `LinkedElsewhere`.
    pub async fn end_oauth(
        &self,
        provider: &str,
        back: Callback,
        browser: Option<&str>,
        who: Option<&LoggedIn>,
        agent: &str,
    ) -> Result<Arrival, AccountError> {
        let at = self.provider(provider)?;
        let id = fingerprint(&format!("flow {}", back.state));
        let pending = self.on().desk.pending(&id).await?;
        let live = pending.filter(|pending| self.now() < pending.until);
        let Some(Errand::Flow {
            provider: begun,
            browser: bound,
            next,
            account,
        }) = live.map(|pending| pending.errand)
        else {
            return Err(AccountError::ForeignFlow);
        };
        let same_browser = browser.is_some_and(|value| fingerprint(value) == bound);
        if begun != provider || !same_browser {
            return Err(AccountError::ForeignFlow);
        }
        self.take(&id).await?;
        if back.iss.as_deref().is_some_and(|iss| !at.sent_by(iss)) {
            return Err(AccountError::ForeignFlow);
        }
        let Some(code) = back.code.filter(|_| back.error.is_none()) else {
            let why = back.error.unwrap_or_else(|| "no code came back".to_owned());
            let why = why.chars().filter(|c| !c.is_control()).take(100).collect();
            return Err(AccountError::Provider(why));
        };
        let leg = self.leg(provider, &back.state);
        let profile = at.identify(&code, &leg).await?;
        // Whoever was logged in when it began must still be, or the identity would land in another account.
        if account.as_ref() != who.map(|who| &who.account.id) && account.is_some() {
            return Err(AccountError::ForeignFlow);
        }
        let who = who.filter(|_| account.is_some());
        self.arrive(profile, next, who, &bound, agent).await
    }

    async fn arrive(
        &self,
        profile: ProviderProfile,
        next: String,
        who: Option<&LoggedIn>,
        browser: &str,
        agent: &str,
    ) -> Result<Arrival, AccountError> {
        let book = &self.on().book;
        let known = book.identity(&profile.provider, &profile.subject).await?;
        if let Some(known) = known {
            return match (book.account(&known.account).await?, who) {
                (_, Some(who)) if who.account.id == known.account => Ok(Arrival::Linked { next }),
                (_, Some(_)) => Err(AccountError::LinkedElsewhere),
                (Some(account), None) if account.state == AccountState::Active => {
                    let cookie = self
                        .begin(&account, agent, &profile.provider, Vec::new())
                        .await?;
                    Ok(Arrival::LoggedIn { cookie, next })
                }
                _ => Err(AccountError::ForeignFlow),
            };
        }
        let account = match who {
            Some(who) => Some(who.account.clone()),
            None => book.account_by_email(&profile.email).await?,
        };
        let Some(account) = account else {
            let ticket = self.random();
            let errand = Errand::Unknown { profile, next };
            self.keep(&format!("ticket {ticket}"), errand, FLOW_LIFE)
                .await?;
            return Ok(Arrival::Activate {
                ticket: ticket.into(),
            });
        };
        if account.state != AccountState::Active {
            return Err(AccountError::ForeignFlow);
        }
        let identities = book.identities(&account.id).await?;
        if identities
            .iter()
            .any(|own| own.provider == profile.provider)
        {
            return Err(AccountError::LinkedElsewhere);
        }
        // Both must hold, or whoever made the one account first would get into the other.
        let same = profile.email == account.email;
        if !(profile.verified && same && account.confirmed == Confirmed::Mail) {
            return self
                .ask_owner(&account, profile, next, browser)
                .await
                .map(|()| Arrival::Mailed {
                    email: account.email,
                });
        }
        if who.is_some() {
            self.link(&account, &profile, Vec::new()).await?;
            return Ok(Arrival::Linked { next });
        }
        let link = AccountChange::Link(profile.identified(&account.id, self.now()));
        let cookie = self
            .begin(&account, agent, &profile.provider, vec![link])
            .await;
        let cookie = cookie.map_err(duplicate)?;
        Ok(Arrival::LoggedIn { cookie, next })
    }

    async fn link(
        &self,
        account: &Account,
        profile: &ProviderProfile,
        mut changes: Vec<AccountChange>,
    ) -> Result<(), AccountError> {
        changes.push(AccountChange::Link(
            profile.identified(&account.id, self.now()),
        ));
        let journal = self.audit(
            owner(account),
            "account.linked",
            account.id.as_str(),
            json!({ "provider": profile.provider }),
        );
        let done = self
            .on()
            .desk
            .change(AccountTransition { changes, journal })
            .await;
        done.map_err(taken)
    }

    async fn ask_owner(
        &self,
        account: &Account,
        profile: ProviderProfile,
        next: String,
        browser: &str,
    ) -> Result<(), AccountError> {
        let provider = profile.provider.clone();
        let errand = Errand::Link {
            account: account.id.clone(),
            profile,
            browser: browser.to_owned(),
            next,
        };
        self.mail_errand(&account.email, errand, Some(&provider), Vec::new())
            .await
    }

    /// Keeps an errand and mails its link, unless the address had enough mails of us lately: then it is quietly left.
    pub(super) async fn mail_errand(
        &self,
        to: &Email,
        errand: Errand,
        provider: Option<&str>,
        mut changes: Vec<AccountChange>,
    ) -> Result<(), AccountError> {
        let key = fingerprint(&format!("mails {to}"));
        let now = self.now();
        let before = self.on().desk.failures(&key).await?;
        let sent = before.after(now);
        if sent.count > MAILS {
            return Ok(());
        }
        let id = self.random();
        let mut journal = self.audit(
            heimdall_types::Actor::Anonymous,
            "account.mail_asked_for",
            &key,
            json!({ "provider": provider }),
        );
        journal.notices.push(self.mail(to, &id, provider));
        changes.push(AccountChange::Count(key, sent));
        changes.push(AccountChange::Keep(OneTime {
            id,
            errand,
            until: now.plus(MAIL_LIFE),
        }));
        let done = self
            .on()
            .desk
            .change(AccountTransition { changes, journal })
            .await;
        done.map_err(taken)
    }

    async fn keep(&self, key: &str, errand: Errand, life: Duration) -> Result<(), AccountError> {
        let changes = vec![AccountChange::Keep(OneTime {
            id: fingerprint(key),
            errand,
            until: self.now().plus(life),
        })];
        Ok(self
            .on()
            .desk
            .change(AccountTransition {
                changes,
                ..AccountTransition::default()
            })
            .await?)
    }

    async fn take(&self, id: &str) -> Result<(), AccountError> {
        let changes = vec![AccountChange::Take(id.to_owned())];
        let done = self
            .on()
            .desk
            .change(AccountTransition {
                changes,
                ..AccountTransition::default()
            })
            .await;
        done.map_err(|fault| match taken(fault) {
            AccountError::Ended => AccountError::ForeignFlow,
            other => other,
        })
    }
}

/// A mapping that was taken meanwhile, by whoever was faster.
pub(super) fn duplicate(error: AccountError) -> AccountError {
    match error {
        AccountError::Fault(fault) => taken(fault),
        other => other,
    }
}
