//! How a verdict came about.

/// How a verdict came about.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Explanation {
    /// `id` of the rule.
    pub rule: Option<String>,
    /// Where the rule stands.
    pub source: Option<String>,
    /// The path expression that matched.
    pub path: Option<String>,
    /// What the path expression captured.
    pub captures: Vec<(String, String)>,
    /// Each step in order.
    pub steps: Vec<StepReport>,
    /// The verdict of the shadow rule, where one stands beside.
    pub shadow: Option<String>,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StepReport {
    /// `authenticator`, `authorizer`, …
    pub stage: String,
    /// Name of the mechanism.
    pub mechanism: String,
    /// `id` of the step.
    pub step: String,
    /// `ok`, `skipped` or the error.
    pub outcome: String,
}
