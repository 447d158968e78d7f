use async_trait::async_trait;
use heimdall_approval::request::{Request, RequestState};
use heimdall_approval::{ApprovalError, Identity, StepState};
use heimdall_notifier::Particulars;
use heimdall_tenant::TenantError;
use heimdall_types::{Email, Fault, Notice, RequestId, Timestamp};
use serde_json::{Value, json};

use crate::deps::Deps;

/// What mails about requests need: looked up, and links minted, when a mail is sent.
pub(crate) struct RequestParticulars(pub(crate) Deps);

/// A link in a mail lives at most this long.
const LONGEST_LINK: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

#[async_trait]
impl Particulars for RequestParticulars {
    async fn of(&self, notice: &Notice) -> Result<Option<Value>, Fault> {
        if notice.kind == "test" {
            return Ok(Some(
                json!({"recipient": notice.recipient, "sent_at": self.0.clock.now().to_rfc3339()}),
            ));
        }
        if notice.data.get("account_errand").is_some() {
            return self.0.accounts.particulars(notice).await;
        }
        if matches!(notice.kind.as_str(), "invite" | "password-reset") {
            return self
                .0
                .tenants
                .particulars(notice)
                .await
                .map_err(|error| match error {
                    TenantError::Fault(fault) => fault,
                    other => Fault::Corrupt(other.to_string()),
                });
        }
        if notice.data.get("request_id").is_none() {
            return self.0.workflows.particulars(notice).await;
        }
        let Some(request) = self.request(notice).await? else {
            return Ok(None);
        };
        match notice.kind.as_str() {
            "approval-requested" | "reminder" | "escalated" => self.asking(notice, &request).await,
            "decided" => self.decided(notice, &request).await.map(Some),
            _ => Ok(Some(self.about(notice, &request))),
        }
    }
}

impl RequestParticulars {
    async fn request(&self, notice: &Notice) -> Result<Option<Request>, Fault> {
        let id = notice
            .data
            .get("request_id")
            .and_then(Value::as_str)
            .and_then(|id| id.parse::<RequestId>().ok());
        let (Some(app), Some(id)) = (&notice.app_id, id) else {
            return Ok(None);
        };
        match self.0.approvals.request(app, &id).await {
            Ok(request) => Ok(Some(request)),
            Err(ApprovalError::NotFound) => Ok(None),
            Err(error) => Err(fault(error)),
        }
    }

    // A mail whose step was decided meanwhile has no point any more.
    async fn asking(&self, notice: &Notice, request: &Request) -> Result<Option<Value>, Fault> {
        if request.state != RequestState::Created {
            return Ok(None);
        }
        let mut context = self.about(notice, request);
        let wants_link = notice
            .data
            .get("link")
            .and_then(Value::as_bool)
            .unwrap_or(true);
        let Ok(email) = notice.recipient.parse::<Email>() else {
            return Ok(None);
        };
        let who = Identity::email(&email);
        let link = if wants_link {
            let stored = self
                .0
                .approvals
                .approval(&request.app_id, &request.approval_id)
                .await
                .map_err(fault)?;
            let steps = stored
                .state
                .steps
                .iter()
                .filter(|step| step.state == StepState::Active);
            let mut mine = steps.filter(|step| {
                step.seats
                    .iter()
                    .any(|s| s.holder == who && s.vote.is_none())
            });
            let Some(step) = mine.next() else {
                return Ok(None);
            };
            let ends = step
                .deadline
                .unwrap_or(request.expires_at)
                .min(request.created_at.plus(LONGEST_LINK));
            let sub = who.opaque(request.app_id.as_str());
            let jti = format!("apm_{}", notice.id);
            let link = self
                .0
                .portals
                .mail_link(&request.app_id, &sub, request.session_id, &jti, ends)
                .await;
            match link {
                Ok(link) => Some(link),
                // The portal was closed after the request was made: the mail waits until it is open again.
                Err(ApprovalError::NotFound) => {
                    return Err(Fault::Unavailable("the portal is closed".to_owned()));
                }
                Err(error) => return Err(fault(error)),
            }
        } else {
            None
        };
        if let Some(members) = context.as_object_mut() {
            members.insert("link".to_owned(), json!(link));
        }
        Ok(Some(context))
    }

    async fn decided(&self, notice: &Notice, request: &Request) -> Result<Value, Fault> {
        let mut context = self.about(notice, request);
        let grants = self
            .0
            .approvals
            .grants_of(&request.app_id, &request.id)
            .await
            .map_err(fault)?;
        let stored = self
            .0
            .approvals
            .approval(&request.app_id, &request.approval_id)
            .await
            .map_err(fault)?;
        let votes: Vec<_> = stored.state.votes().map(|(_, _, vote)| vote).collect();
        let mut names: Vec<&str> = votes.iter().map(|vote| vote.actor.name.as_str()).collect();
        names.dedup();
        let comments: Vec<&str> = votes
            .iter()
            .filter_map(|vote| vote.comment.as_deref())
            .collect();
        if let Some(members) = context.as_object_mut() {
            members.insert("decided_by".to_owned(), json!(names.join(", ")));
            members.insert("comment".to_owned(), json!(comments.join("\n")));
            let text = |at: Option<Timestamp>| json!(at.map(Timestamp::to_rfc3339));
            members.insert(
                "starts_at".to_owned(),
                text(grants.iter().map(|grant| grant.starts_at).min()),
            );
            members.insert(
                "ends_at".to_owned(),
                text(grants.iter().map(|grant| grant.ends_at).max()),
            );
            members.insert("link".to_owned(), json!(format!("{}/", self.0.base_url)));
        }
        Ok(context)
    }

    fn about(&self, notice: &Notice, request: &Request) -> Value {
        let (reason, by) = match &request.denial {
            Some((reason, person)) => (Some(reason), Some(&person.name)),
            None => (None, None),
        };
        let state_text = match request.state {
            RequestState::Canceled => "Cancelled",
            RequestState::Expired => "Expired",
            RequestState::Terminated => "Ended early",
            _ => request.state.as_str(),
        };
        json!({
            "recipient": notice.recipient,
            "number": request.session_id,
            "requester": {"name": request.requester.name, "email": request.requester.email},
            "roles": request.roles,
            "minutes": request.minutes,
            "justification": request.justification,
            "resource": request.resource,
            "asked_at": request.created_at.to_rfc3339(),
            "decide_until": request.expires_at.to_rfc3339(),
            "state_text": state_text,
            "reason": reason,
            "decided_by": by,
            "link": format!("{}/requests/{}", self.0.base_url, request.id),
        })
    }
}

fn fault(error: ApprovalError) -> Fault {
    match error {
        ApprovalError::Fault(fault) => fault,
        other => Fault::Corrupt(other.to_string()),
    }
}
