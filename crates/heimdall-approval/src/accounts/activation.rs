use heimdall_types::{AccountId, Email, Secret};
use serde_json::json;

use super::account::Pending;
use super::oauth::duplicate;
use super::ports::AccountChange;
use super::profile::name;
use super::session::owner;
use super::{
    Account, AccountError, AccountState, Accounts, Confirmed, Errand, OneTime, ProviderProfile,
    fingerprint, invalid,
};

/// What the activation page has to ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Activation {
    /// Somebody unknown from a provider: names, perhaps a password.
    Unknown(ProviderProfile),
    /// The owner of an address that a mail proved: names and a password.
    Join(Email),
    /// As before, and everything was filled in already.
    Confirm(Email),
    /// The owner of an account sets a password.
    Password(Email),
    /// The owner of an account says whether this identity is theirs.
    Link(Email, ProviderProfile),
}

/// What the form brought.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// The password; empty for none.
    pub password: Secret,
    /// The same again.
    pub again: Secret,
    /// Link the provider's identity.
    pub link: bool,
}

/// What became of an activation.
#[derive(Debug, Clone)]
pub enum Activated {
    /// Done, and logged in.
    LoggedIn {
        /// The value of the session cookie.
        cookie: Secret,
        /// Where to go.
        next: String,
    },
    /// A mail must prove the address first; nothing is linked.
    Mailed {
        /// The address.
        email: Email,
    },
}

impl Accounts {
    /// Somebody wants an account, or has forgotten the password: a mail goes to the address. It says nothing about
    /// whether there is an account.
    ///
    /// # Errors
    /// `Invalid` naming `email`.
    pub async fn ask_for_mail(&self, email: &str, next: &str) -> Result<Email, AccountError> {
        let Ok(email) = email.trim().parse::<Email>() else {
            return invalid("email", "is no e-mail address");
        };
        let errand = match self.on().book.account_by_email(&email).await? {
            Some(account) if account.state == AccountState::Active => Errand::Password {
                account: account.id,
            },
            Some(_) => return Ok(email),
            None => Errand::Join {
                email: email.clone(),
                person: None,
                next: next.to_owned(),
            },
        };
        self.mail_errand(&email, errand, None, Vec::new()).await?;
        Ok(email)
    }

    /// What waits under a ticket of ours or the token of a mail.
    async fn waiting(&self, ticket: &str) -> Result<OneTime, AccountError> {
        let id = if ticket.contains('.') {
            self.id_in(ticket).ok_or(AccountError::Ended)?
        } else {
            fingerprint(&format!("ticket {ticket}"))
        };
        let found = self.on().desk.pending(&id).await?;
        found
            .filter(|pending| self.now() < pending.until)
            .ok_or(AccountError::Ended)
    }

    /// What the page behind a ticket or a mail's token asks. Changes nothing.
    ///
    /// # Errors
    /// `Ended`.
    pub async fn activation(&self, ticket: &str) -> Result<Activation, AccountError> {
        match self.waiting(ticket).await?.errand {
            Errand::Unknown { profile, .. } => Ok(Activation::Unknown(profile)),
            Errand::Join {
                email,
                person: Some(_),
                ..
            } => Ok(Activation::Confirm(email)),
            Errand::Join { email, .. } => Ok(Activation::Join(email)),
            Errand::Password { account } => {
                Ok(Activation::Password(self.present(&account).await?.email))
            }
            Errand::Link {
                account, profile, ..
            } => Ok(Activation::Link(
                self.present(&account).await?.email,
                profile,
            )),
            Errand::Flow { .. } => Err(AccountError::Ended),
        }
    }

    async fn present(&self, id: &AccountId) -> Result<Account, AccountError> {
        let account = self.on().book.account(id).await?;
        account
            .filter(|account| account.state == AccountState::Active)
            .ok_or(AccountError::Ended)
    }

    /// Does what the page was about. Each ticket and each token once.
    ///
    /// # Errors
    /// `Invalid` naming the field; `Ended`; `OtherBrowser` where an identity of a provider would be linked from
    /// another browser than the one that logged in there; `LinkedElsewhere`.
    pub async fn activate(
        &self,
        ticket: &str,
        new: NewPerson,
        browser: Option<&str>,
        agent: &str,
    ) -> Result<Activated, AccountError> {
        let pending = self.waiting(ticket).await?;
        let take = AccountChange::Take(pending.id);
        let here = browser.map(fingerprint);
        match pending.errand {
            Errand::Unknown { profile, next } => {
                self.newcomer(profile, next, new, here, take, agent).await
            }
            Errand::Join {
                email,
                person: Some(person),
                next,
            } => {
                if person.profile.is_some() && here.as_deref() != Some(&person.browser) {
                    return Err(AccountError::OtherBrowser);
                }
                let account = Account {
                    first_name: person.first_name,
                    last_name: person.last_name,
                    password: person.password.map(Secret::new),
                    ..self.fresh(email, Confirmed::Mail)
                };
                self.make(account, person.profile, take, next, agent).await
            }
            Errand::Join { email, next, .. } => {
                let account = Account {
                    first_name: name("first_name", &new.first_name)?,
                    last_name: name("last_name", &new.last_name)?,
                    password: Some(self.chosen(new.password, &new.again).await?),
                    ..self.fresh(email, Confirmed::Mail)
                };
                self.make(account, None, take, next, agent).await
            }
            Errand::Password { account } => {
                let account = Account {
                    confirmed: Confirmed::Mail,
                    ..self.present(&account).await?
                };
                let hash = self.chosen(new.password, &new.again).await?;
                let all = AccountChange::EndAll(account.id.clone(), None);
                let done = self.set_password(&account, hash, vec![take, all]).await;
                done.map_err(duplicate)?;
                let cookie = self.begin(&account, agent, "mail", Vec::new()).await?;
                let next = String::new();
                Ok(Activated::LoggedIn { cookie, next })
            }
            Errand::Link {
                account,
                profile,
                browser,
                next,
            } => {
                // A mail alone must not link what somebody else logged in with.
                if here.as_deref() != Some(&browser) {
                    return Err(AccountError::OtherBrowser);
                }
                let account = Account {
                    confirmed: Confirmed::Mail,
                    ..self.present(&account).await?
                };
                let changes = vec![
                    take,
                    AccountChange::Put(account.clone()),
                    AccountChange::Link(profile.identified(&account.id, self.now())),
                ];
                let cookie = self
                    .begin(&account, agent, &profile.provider, changes)
                    .await;
                let cookie = cookie.map_err(duplicate)?;
                Ok(Activated::LoggedIn { cookie, next })
            }
            Errand::Flow { .. } => Err(AccountError::Ended),
        }
    }

    async fn newcomer(
        &self,
        profile: ProviderProfile,
        next: String,
        new: NewPerson,
        here: Option<String>,
        take: AccountChange,
        agent: &str,
    ) -> Result<Activated, AccountError> {
        let (first_name, last_name) = (
            name("first_name", &new.first_name)?,
            name("last_name", &new.last_name)?,
        );
        let password = if new.password.expose().is_empty() {
            None
        } else {
            Some(self.chosen(new.password, &new.again).await?)
        };
        if password.is_none() && !new.link {
            return invalid("new", "is needed when the account is not linked");
        }
        let link = new.link.then_some(profile.clone());
        if profile.verified {
            let account = Account {
                first_name,
                last_name,
                password,
                ..self.fresh(profile.email, Confirmed::Provider)
            };
            return self.make(account, link, take, next, agent).await;
        }
        let email = profile.email;
        let person = Pending {
            first_name,
            last_name,
            password: password.map(|hash| hash.expose().to_owned()),
            profile: link,
            browser: here.ok_or(AccountError::OtherBrowser)?,
        };
        let errand = Errand::Join {
            email: email.clone(),
            person: Some(Box::new(person)),
            next,
        };
        self.mail_errand(&email, errand, Some(&profile.provider), vec![take])
            .await?;
        Ok(Activated::Mailed { email })
    }

    fn fresh(&self, email: Email, confirmed: Confirmed) -> Account {
        let now = self.now();
        Account {
            id: AccountId::generate(now, self.on().rng.as_ref()),
            email,
            confirmed,
            first_name: String::new(),
            last_name: String::new(),
            password: None,
            state: AccountState::Active,
            created_at: now,
            version: 0,
        }
    }

    async fn make(
        &self,
        account: Account,
        link: Option<ProviderProfile>,
        take: AccountChange,
        next: String,
        agent: &str,
    ) -> Result<Activated, AccountError> {
        let way = link
            .as_ref()
            .map_or("mail", |profile| &profile.provider)
            .to_owned();
        let mut changes = vec![take, AccountChange::Put(account.clone())];
        let linked = link.map(|profile| profile.identified(&account.id, self.now()));
        changes.extend(linked.map(AccountChange::Link));
        let journal = self.audit(
            owner(&account),
            "account.activated",
            account.id.as_str(),
            json!({ "confirmed": account.confirmed, "by": way }),
        );
        let begun = self
            .begin_with(&account, agent, &way, changes, journal)
            .await;
        let cookie = begun.map_err(duplicate)?;
        Ok(Activated::LoggedIn { cookie, next })
    }
}
