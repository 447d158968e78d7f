//! One request on its way through a rule.

use std::sync::Arc;

use heimdall_finalizer::url::{has_encoded_slash, unescape_segment};
use heimdall_finalizer::{Body, Effects, Failure, Kind, Outputs, Scene, Sight};

use crate::answer::Missing;
use crate::authenticators::Identity;
use crate::authorizers::Denial;
use crate::expression::{Expression, Facts};
use crate::rules::{EncodedSlashes, Rule};
use crate::steps::{Middle, Step};
use crate::tally::StepOutcome;
use crate::verdict::{Dropped, owns};
use crate::{Accept, Engine, Explanation, Mode, Request, Respond, RuleName, StepReport, Verdict};

/// Bytes of a body that templates and expressions may look at.
const LARGEST_BODY: usize = 1 << 20;

/// A request's rule.
pub struct Route {
    engine: Engine,
    rule: Option<Arc<Rule>>,
    path: Option<Arc<str>>,
    captures: Vec<(String, String)>,
    pub(crate) shadow: Option<Box<Route>>,
}

/// What steps leave.
struct Progress {
    identity: Identity,
    outputs: Outputs,
    effects: Effects,
}

/// Where steps report to, when somebody wants to know.
struct Trace(Option<Vec<StepReport>>);

impl Trace {
    fn note<M>(&mut self, stage: &str, step: &Step<M>, outcome: impl FnOnce() -> String) {
        if let Some(steps) = &mut self.0 {
            steps.push(StepReport {
                stage: stage.to_owned(),
                mechanism: step.name.to_string(),
                step: step.id.to_string(),
                outcome: outcome(),
            });
        }
    }
}

impl Route {
    pub(crate) fn new(
        engine: Engine,
        rule: Option<Arc<Rule>>,
        path: Option<Arc<str>>,
        captures: Vec<(String, String)>,
    ) -> Self {
        let slashes = rule
            .as_ref()
            .is_some_and(|rule| rule.slashes == EncodedSlashes::On);
        let captures = captures
            .into_iter()
            .map(|(name, value)| (name, unescape_segment(&value, slashes)))
            .collect();
        Self {
            engine,
            rule,
            path,
            captures,
            shadow: None,
        }
    }

    /// The rule; `None` when no rule takes the request (then [`Route::judge`] denies).
    pub fn rule(&self) -> Option<&RuleName> {
        self.rule.as_ref().map(|rule| &rule.name)
    }

    /// A shadow rule beside this one: to be judged, logged and counted, and to have no other effect.
    pub fn shadow(&self) -> Option<&Route> {
        self.shadow.as_deref()
    }

    /// Most bytes of the body to read before judging; `None` when no step looks at it.
    /// A longer body is to be answered with 413.
    pub fn body_limit(&self) -> Option<usize> {
        let own = self.rule.as_ref().is_some_and(|rule| rule.reads_body);
        let shadow = self
            .shadow
            .as_ref()
            .is_some_and(|shadow| shadow.body_limit().is_some());
        (own || shadow).then_some(LARGEST_BODY)
    }

    /// The verdict. Always one: an error denies.
    pub async fn judge(&self, request: &Request<'_>, body: Option<&[u8]>) -> Verdict {
        self.run(request, body, &mut Trace(None)).await
    }

    /// The verdict and how it came about, step by step.
    pub async fn explain(
        &self,
        request: &Request<'_>,
        body: Option<&[u8]>,
    ) -> (Verdict, Explanation) {
        let mut trace = Trace(Some(Vec::new()));
        let verdict = self.run(request, body, &mut trace).await;
        let shadow = match self.shadow() {
            Some(shadow) => {
                let verdict = Box::pin(shadow.judge(request, body)).await;
                let name = shadow
                    .rule()
                    .map(|rule| rule.id.to_string())
                    .unwrap_or_default();
                Some(format!("{name}: {}", verdict.summary()))
            }
            None => None,
        };
        let explanation = Explanation {
            rule: self.rule().map(|rule| rule.id.to_string()),
            source: self
                .rule
                .as_ref()
                .map(|rule| format!("{}:{}", rule.name.source, rule.line)),
            path: self.path.as_ref().map(ToString::to_string),
            captures: self.captures.clone(),
            steps: trace.0.unwrap_or_default(),
            shadow,
        };
        (verdict, explanation)
    }

    async fn run(&self, request: &Request<'_>, body: Option<&[u8]>, trace: &mut Trace) -> Verdict {
        let state = &self.engine.0;
        let Some(rule) = &self.rule else {
            let failure = Failure::new(
                Kind::NoRule,
                format!("no applicable rule found for {}", request.url()),
            );
            return respond(state.codes.answer(&failure, None, request.headers));
        };
        if rule.slashes == EncodedSlashes::Off && has_encoded_slash(&request.path) {
            let failure = Failure::new(
                Kind::Argument,
                "path contains encoded slash, which is not allowed",
            );
            return respond(
                state
                    .codes
                    .answer(&failure, Some(rule.name.clone()), request.headers),
            );
        }
        let body = Body::new(request, body);
        let scene = Scene {
            request,
            captures: &self.captures,
            body: &body,
            path_decoded: rule.slashes == EncodedSlashes::On,
        };
        match self.execute(rule, &scene, trace).await {
            Ok(effects) => self.pass(rule, request, effects),
            Err(denial) => respond(self.deny(rule, &scene, &denial, trace)),
        }
    }

    fn count<M>(&self, step: &Step<M>, outcome: StepOutcome) {
        step.counter
            .add(&step.id, outcome, &self.engine.0.tools.tallies);
    }

    async fn execute(
        &self,
        rule: &Rule,
        scene: &Scene<'_>,
        trace: &mut Trace,
    ) -> Result<Effects, Denial> {
        let identity = self.authenticate(rule, scene, trace).await?;
        let mut progress = Progress {
            identity,
            outputs: Outputs::new(),
            effects: Effects::default(),
        };
        for step in rule.steps.middle.iter() {
            self.middle(step, scene, &mut progress, trace).await?;
        }
        for step in rule.steps.finalizers.iter() {
            let sight = Sight {
                scene,
                subject: &progress.identity.subject,
                outputs: &progress.outputs,
            };
            if !applies(step.condition.as_ref(), sight)? {
                self.count(step, StepOutcome::Skipped);
                trace.note("finalizer", step, || "skipped".to_owned());
                continue;
            }
            let done = step
                .mechanism
                .apply(sight, &self.engine.0.tools.workshop, &mut progress.effects)
                .await;
            self.count(step, StepOutcome::of(&done));
            trace.note("finalizer", step, || outcome(done.as_ref().err()));
            done.map_err(|failure| failure.by(&step.name, &step.id))?;
        }
        Ok(progress.effects)
    }

    async fn authenticate(
        &self,
        rule: &Rule,
        scene: &Scene<'_>,
        trace: &mut Trace,
    ) -> Result<Identity, Denial> {
        let mut last = Failure::new(Kind::Authentication, "no authenticator applies");
        let mut absent = true;
        for step in rule.steps.authenticators.iter() {
            let skipped = match &step.condition {
                Some(condition) => !holds(
                    condition,
                    &Facts {
                        scene: Some(scene),
                        ..Facts::default()
                    },
                )?,
                None => false,
            };
            if skipped || (step.on_absent && !absent) {
                self.count(step, StepOutcome::Skipped);
                trace.note("authenticator", step, || "skipped".to_owned());
                continue;
            }
            match step
                .mechanism
                .authenticate(scene, &self.engine.0.tools)
                .await
            {
                Ok(identity) => {
                    self.count(step, StepOutcome::Passed);
                    trace.note("authenticator", step, || {
                        format!("ok: {}", identity.subject.id)
                    });
                    return Ok(identity);
                }
                Err(failure) => {
                    self.count(step, StepOutcome::Failed);
                    trace.note("authenticator", step, || failure.to_string());
                    absent &= failure.credential_is_absent();
                    last = failure.by(&step.name, &step.id);
                }
            }
        }
        Err(last.into())
    }

    async fn middle(
        &self,
        step: &Step<Middle>,
        scene: &Scene<'_>,
        progress: &mut Progress,
        trace: &mut Trace,
    ) -> Result<(), Denial> {
        let stage = match &step.mechanism {
            Middle::Authorizer(_) => "authorizer",
            Middle::Contextualizer(_) => "contextualizer",
        };
        let Progress {
            identity,
            outputs,
            effects,
        } = progress;
        let sight = Sight {
            scene,
            subject: &identity.subject,
            outputs,
        };
        if !applies(step.condition.as_ref(), sight)? {
            self.count(step, StepOutcome::Skipped);
            trace.note(stage, step, || "skipped".to_owned());
            return Ok(());
        }
        let tools = &self.engine.0.tools;
        let done = match &step.mechanism {
            Middle::Authorizer(authorizer) => {
                authorizer
                    .authorize(&step.id, sight, identity, tools, effects)
                    .await
            }
            Middle::Contextualizer(contextualizer) => contextualizer
                .contextualize(&step.id, sight, tools)
                .await
                .map_err(Denial::from),
        };
        self.count(step, StepOutcome::of(&done));
        trace.note(stage, step, || {
            outcome(done.as_ref().err().map(|denial| &denial.failure))
        });
        match done {
            Ok(Some(output)) => {
                outputs.insert(step.id.to_string(), output);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(_) if matches!(&step.mechanism, Middle::Contextualizer(one) if one.continues_on_error()) => {
                Ok(())
            }
            Err(Denial { failure, missing }) => Err(Denial {
                failure: failure.by(&step.name, &step.id),
                missing,
            }),
        }
    }

    fn deny(&self, rule: &Rule, scene: &Scene<'_>, denial: &Denial, trace: &mut Trace) -> Respond {
        let codes = &self.engine.0.codes;
        let answer = |failure: &Failure| {
            codes.answer(failure, Some(rule.name.clone()), scene.request.headers)
        };
        if let Some(missing) = &denial.missing {
            return Missing::answer(
                missing,
                &denial.failure,
                Some(rule.name.clone()),
                scene.request.headers,
            );
        }
        let facts = Facts {
            scene: Some(scene),
            failure: Some(&denial.failure),
            ..Facts::default()
        };
        for step in rule.steps.error_handlers.iter() {
            match step
                .condition
                .as_ref()
                .map_or(Ok(true), |condition| holds(condition, &facts))
            {
                Ok(false) => {
                    self.count(step, StepOutcome::Skipped);
                    trace.note("error_handler", step, || "skipped".to_owned());
                    continue;
                }
                Ok(true) => {}
                Err(failure) => {
                    self.count(step, StepOutcome::Failed);
                    trace.note("error_handler", step, || failure.to_string());
                    return answer(&failure);
                }
            }
            let done = step
                .mechanism
                .answer(&denial.failure, rule.name.clone(), scene, codes);
            self.count(step, StepOutcome::of(&done));
            trace.note("error_handler", step, || outcome(done.as_ref().err()));
            return done.unwrap_or_else(|failure| answer(&failure));
        }
        answer(&denial.failure)
    }

    fn pass(&self, rule: &Rule, request: &Request<'_>, effects: Effects) -> Verdict {
        if self.engine.0.tools.mode != Mode::Proxy {
            return Verdict::Accept(Box::new(accept(
                rule,
                effects,
                self.engine.0.codes.accepted,
            )));
        }
        let Some(backend) = &rule.backend else {
            let failure = Failure::new(Kind::Configuration, "No upstream reference defined");
            return respond(self.engine.0.codes.answer(
                &failure,
                Some(rule.name.clone()),
                request.headers,
            ));
        };
        let mut forward = backend.forward(request, rule.slashes, rule.name.clone());
        for (name, value) in effects.headers {
            if name.eq_ignore_ascii_case("host") {
                forward.host = value.to_string();
            } else if !crate::verdict::is_forwarding(&name) {
                forward.headers.push((name, value));
            }
        }
        forward.dropped = Dropped {
            owned: rule.owned_headers.clone(),
            nominated: nominated(request),
            cookies: !rule.owned_cookies.is_empty(),
        };
        if forward.dropped.cookies {
            let line = cookie_line(request, rule, &effects.cookies);
            if !line.is_empty() {
                forward.headers.push(("Cookie".into(), line.into()));
            }
        }
        Verdict::Forward(Box::new(forward))
    }
}

fn respond(respond: Respond) -> Verdict {
    Verdict::Respond(Box::new(respond))
}

fn outcome(failure: Option<&Failure>) -> String {
    failure.map_or_else(|| "ok".to_owned(), Failure::to_string)
}

fn holds(condition: &Expression, facts: &Facts<'_>) -> Result<bool, Failure> {
    condition.holds(facts).map_err(|error| {
        Failure::new(
            Kind::Internal,
            format!("failed evaluating condition: {error}"),
        )
    })
}

/// Whether a step's condition lets it run. Conditions see no outputs, as in the Go program.
fn applies(condition: Option<&Expression>, sight: Sight<'_>) -> Result<bool, Failure> {
    match condition {
        None => Ok(true),
        Some(condition) => holds(
            condition,
            &Facts {
                scene: Some(sight.scene),
                subject: Some(sight.subject),
                ..Facts::default()
            },
        ),
    }
}

/// The fields that `Connection` names: they end here (RFC 9110 §7.6.1).
fn nominated(request: &Request<'_>) -> Vec<String> {
    let lines = request.headers.values("connection");
    lines
        .iter()
        .flat_map(|line| line.split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect()
}

/// The client's cookies without those that are ours, then ours.
fn cookie_line(request: &Request<'_>, rule: &Rule, own: &[(Arc<str>, String)]) -> String {
    let mut line = String::new();
    let mut add = |pair: &str| {
        if !line.is_empty() {
            line.push_str("; ");
        }
        line.push_str(pair);
    };
    // A rule that may set the whole field takes none of the client's.
    let theirs = (!owns(&rule.owned_headers, "cookie")).then(|| request.headers.values("cookie"));
    for value in theirs.into_iter().flatten() {
        for pair in String::from_utf8_lossy(value)
            .split(';')
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
        {
            let name = pair.split('=').next().unwrap_or_default().trim();
            if !rule.owned_cookies.iter().any(|owned| owned == name) {
                add(pair);
            }
        }
    }
    for (name, value) in own {
        add(&format!("{name}={value}"));
    }
    line
}

fn accept(rule: &Rule, effects: Effects, status: u16) -> Accept {
    let mut headers = effects.headers;
    for owned in rule.owned_headers.iter() {
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(owned))
        {
            headers.push((heimdall_finalizer::canonical_name(owned).into(), "".into()));
        }
    }
    headers.extend(
        effects
            .cookies
            .iter()
            .map(|(name, value)| ("Set-Cookie".into(), format!("{name}={value}").into())),
    );
    Accept {
        rule: rule.name.clone(),
        status,
        headers,
        remove: rule.owned_headers.clone(),
    }
}
