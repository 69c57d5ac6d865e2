//! Trying a hook with an event that did not happen.

use super::unknown;
use crate::auth::{Caller, Pass, Scope};
use crate::body::Strict;
use crate::deliveries::view::{AnswerView, ReasonView, decision_word, millis};
use crate::deps::Api;
use crate::events::{Fixture, make, sentence};
use crate::explain::verdict_word;
use crate::problem::Problem;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use jackfield_dispatch::{Trial, TrialError};
use jackfield_events::{OnError, Verdict};
use jackfield_hooks::{Mode, Outcome};
use serde::Serialize;
use utoipa::ToSchema;

/// What a hook made of an event that did not happen.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HookTrial)]
pub(super) struct TrialView {
    /// The envelope that it was sent, with `"test": true`.
    request: serde_json::Value,
    /// Its answer to a question.
    answer: Option<AnswerView>,
    /// How the call ended.
    #[schema(example = "answered")]
    outcome: &'static str,
    /// What it decided.
    decision: Option<&'static str>,
    /// The policy that acted in the place of an answer.
    policy: Option<String>,
    /// What would have come of the question, had this hook been asked alone: `allow` or `deny`.
    verdict: Option<&'static str>,
    /// The key that the question would have gone on with, if the hook replaced it.
    key: Option<String>,
    /// Why it would have been refused.
    reason: Option<ReasonView>,
    /// Milliseconds until it was sent: none, for a trial waits for nobody.
    queued_ms: f64,
    /// Milliseconds to reach the handler.
    connect_ms: f64,
    /// Milliseconds from then to the end.
    handler_ms: f64,
    /// What the failure says of itself; empty if there is none.
    detail: String,
}

/// Try a hook
///
/// Calls it once with an event that did not happen, marked `test`, and shows what it made of it. Nothing else gets the
/// event, and nothing comes of the answer. Eight tries of a token are under way at once at most, and 32 in all.
#[utoipa::path(post, path = "/api/v1/hooks/{name}/test", tag = "hooks", request_body = Fixture,
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "What it made of it.", body = TrialView),
        (status = 404, description = "There is no such hook.", body = crate::problem::ProblemBody),
        (status = 409, description = "The hook only prints.", body = crate::problem::ProblemBody),
        (status = 429, description = "Too many tries are under way, or wrong tokens came from this address.",
            body = crate::problem::ProblemBody)),
    security(("bearer" = ["hooks"])))]
pub(super) async fn try_one(
    State(api): State<Api>,
    caller: Caller,
    Extension(pass): Extension<Pass>,
    Path(name): Path<String>,
    Strict(fixture): Strict<Fixture>,
) -> Result<Json<TrialView>, Problem> {
    caller.may(Scope::Hooks, None)?;
    let (event, wish) = fixture.read()?;
    let bus = &api.deps.bus;
    let event = make(event.spec(), bus.next_stamp(), wish)?;
    let _under_way = api.tries.begin(pass)?;
    match api.deps.dispatch.try_hook(&name, event, bus.masker()).await {
        Ok(trial) => Ok(Json(TrialView::of(trial))),
        Err(TrialError::NotOn) => {
            Err(Problem::unprocessable(sentence(&TrialError::NotOn.to_string())).with("field", "event"))
        }
        Err(TrialError::NoHook) if is_there(&api, &name).await? => {
            let detail = "This hook prints to a standard stream of the server: send it an event with \
                          `POST /api/v1/events/trigger`.";
            Err(Problem::conflict(detail))
        }
        Err(TrialError::NoHook) => Err(unknown()),
    }
}

async fn is_there(api: &Api, name: &str) -> Result<bool, Problem> {
    let hooks = api.deps.control.hooks().await.map_err(Problem::stopping)?;
    Ok(hooks.iter().any(|hook| hook.name == name))
}

impl TrialView {
    fn of(trial: Trial) -> Self {
        let answer = trial.result.as_ref().ok().filter(|_| trial.mode == Mode::Decide);
        let (key, reason) = match &trial.verdict {
            Some(Verdict::Allow { key, .. }) => (key.as_ref().map(ToString::to_string), None),
            Some(Verdict::Deny(denial)) => (None, ReasonView::of(&denial.reason)),
            None => (None, None),
        };
        Self {
            request: serde_json::from_slice(&trial.request).unwrap_or_default(),
            decision: answer.map(|answer| decision_word(&answer.decision)),
            answer: answer.map(AnswerView::of),
            outcome: trial
                .result
                .as_ref()
                .map_or_else(|failure| failure.outcome, |_| Outcome::Answered)
                .as_str(),
            policy: trial.policy.as_ref().map(OnError::word),
            verdict: trial.verdict.as_ref().map(verdict_word),
            key,
            reason,
            queued_ms: 0.0,
            connect_ms: millis(trial.connect),
            handler_ms: millis(trial.handler),
            detail: trial.result.err().map(|failure| failure.detail).unwrap_or_default(),
        }
    }
}
