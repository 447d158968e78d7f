use heimdall_approval::request::{GrantState, Request, RequestState, RequestedRole};
use heimdall_types::Timestamp;
use serde_json::{Value, json};

use crate::deps::Deps;

/// Words, dates and durations in the language of a page.
#[derive(Clone)]
pub(crate) struct Wording {
    pages: heimdall_server::Pages,
    pub(crate) language: String,
    now: Timestamp,
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const MONATE: [&str; 12] = [
    "Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez.",
];

impl Wording {
    pub(crate) fn new(deps: &Deps, language: String) -> Self {
        Self {
            pages: deps.pages.clone(),
            language,
            now: deps.clock.now(),
        }
    }

    /// A text without values.
    pub(crate) fn t(&self, key: &str) -> String {
        self.with(key, &[])
    }

    /// A text with values.
    pub(crate) fn with(&self, key: &str, values: &[(&str, &str)]) -> String {
        self.pages.message(&self.language, key, values)
    }

    /// `today, 14:12` or `3 Mar 2026, 14:12`.
    pub(crate) fn when(&self, at: Timestamp) -> String {
        let (text, today) = (at.to_rfc3339(), self.now.to_rfc3339());
        let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
        if text.get(..10) == today.get(..10) {
            return self.with("today, {time}", &[("time", part(11..16))]);
        }
        let month = part(5..7).parse::<usize>().unwrap_or(1).saturating_sub(1);
        let day = part(8..10).trim_start_matches('0');
        let german = self.language == "de";
        let name = if german { MONATE } else { MONTHS }
            .get(month)
            .copied()
            .unwrap_or_default();
        format!(
            "{day}{} {name} {}, {}",
            if german { "." } else { "" },
            part(0..4),
            part(11..16)
        )
    }

    pub(crate) fn now(&self) -> String {
        self.now
            .to_rfc3339()
            .get(11..16)
            .unwrap_or_default()
            .to_owned()
    }

    /// `4 hours`, `30 minutes`, `5 days`.
    pub(crate) fn duration(&self, minutes: u32) -> String {
        let (count, one, many) = match minutes {
            m if m % 1440 == 0 && m > 0 => (m / 1440, "1 day", "{count} days"),
            m if m % 60 == 0 && m > 0 => (m / 60, "1 hour", "{count} hours"),
            m => (m, "1 minute", "{count} minutes"),
        };
        if count == 1 {
            self.t(one)
        } else {
            self.with(many, &[("count", &count.to_string())])
        }
    }

    /// What is left, in short: `3 h 14 min`.
    pub(crate) fn left(&self, until: Timestamp) -> (u64, String) {
        let minutes = until.since(self.now).as_secs().div_ceil(60);
        let text = match minutes {
            m if m >= 1440 => format!("{} d {} h", m / 1440, m % 1440 / 60),
            m if m >= 60 => format!("{} h {} min", m / 60, m % 60),
            m => format!("{m} min"),
        };
        (minutes, text)
    }

    /// The word for a request's state.
    pub(crate) fn state(&self, state: RequestState) -> String {
        self.t(match state {
            RequestState::Created => "Waiting",
            RequestState::Approved => "Approved",
            RequestState::Denied => "Denied",
            RequestState::Canceled => "Cancelled",
            RequestState::Terminated => "Ended early",
            RequestState::Expired => "Expired",
        })
    }

    /// The word for a grant's state.
    pub(crate) fn grant(&self, state: GrantState) -> String {
        self.t(match state {
            GrantState::Scheduled => "Starts later",
            GrantState::Activating => "Starting",
            GrantState::Active => "Active",
            GrantState::Expired => "Ended",
            GrantState::Revoked => "Revoked",
            GrantState::Terminated => "Given back",
            GrantState::Failed => "Failed",
        })
    }

    /// A row of a list of requests.
    pub(crate) fn row(&self, request: &Request) -> Value {
        let open = request.state == RequestState::Created;
        let detail = request.denial.as_ref().map(|(reason, _)| reason.clone());
        json!({
            "id": request.id, "number": request.session_id, "open": open,
            "events": format!("/v1/apps/{}/requests/{}/events", request.app_id, request.id),
            "roles": request.roles.iter().map(role).collect::<Vec<_>>(),
            "requester": request.requester.name, "justification": shortened(&request.justification),
            "tone": tone(request.state), "state_text": self.state(request.state), "detail": detail,
            "progress": self.progress(request), "asked_at": request.created_at.to_rfc3339(),
            "asked": self.when(request.created_at), "duration": self.duration(request.minutes),
        })
    }

    pub(crate) fn progress(&self, request: &Request) -> String {
        let done = request
            .roles
            .iter()
            .filter(|role| role.state == RequestState::Approved)
            .count();
        let (done, all) = (done.to_string(), request.roles.len().to_string());
        self.with(
            "{done} of {all} roles approved",
            &[("done", &done), ("all", &all)],
        )
    }
}

/// The class of a state's mark.
pub(crate) fn tone(state: RequestState) -> &'static str {
    match state {
        RequestState::Created => "wait",
        RequestState::Approved => "ok",
        RequestState::Denied => "no",
        RequestState::Canceled | RequestState::Terminated | RequestState::Expired => "gone",
    }
}

/// A role as a tag and as a plank of the bridge.
pub(crate) fn role(role: &RequestedRole) -> Value {
    let tag = match role.state {
        RequestState::Approved => "ok",
        RequestState::Denied => "no",
        _ => "",
    };
    json!({"name": role.name, "tone": tag, "plank": tone(role.state), "allows": role.description})
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(160).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
