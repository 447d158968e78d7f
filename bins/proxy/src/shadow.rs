//! Shadow rules: judged, logged and counted beside the rule that decides.

use heimdall_pipeline::{Request, Route, Verdict};

use crate::counters::Counters;

/// The verdict of a rule; that of the rule in its shadow, if there is one, is only told.
pub(crate) async fn judge(
    route: &Route,
    request: &Request<'_>,
    body: Option<&[u8]>,
    counters: &Counters,
) -> Verdict {
    let Some(shadow) = route.shadow() else {
        return route.judge(request, body).await;
    };
    let (verdict, would) = tokio::join!(route.judge(request, body), shadow.judge(request, body));
    if let Some(rule) = shadow.rule() {
        let status = status(&would);
        let differs = passes(&would) != passes(&verdict);
        counters.shadow(&rule.id, status, differs);
        tracing::info!(
            rule = %rule.id,
            status,
            differs,
            verdict = would.summary(),
            "a shadow rule judged"
        );
    }
    verdict
}

fn passes(verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::Respond(_))
}

fn status(verdict: &Verdict) -> u16 {
    match verdict {
        Verdict::Forward(_) => 200,
        Verdict::Accept(accept) => accept.status,
        Verdict::Respond(respond) => respond.status,
    }
}
