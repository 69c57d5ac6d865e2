//! Why a session was let in, renamed or refused: all of its questions, with every hook, in order.

use crate::auth::{Caller, Scope};
use crate::deliveries::view::{AnswerView, ReasonView, decision_word, millis};
use crate::deps::Api;
use crate::problem::Problem;
use crate::query::rfc3339;
use axum::Json;
use axum::extract::{Path, State};
use jackfield_dispatch::{QuestionStep, QuestionTrace, Subject, Why};
use jackfield_events::{OnError, Verdict};
use jackfield_media::{ConnId, SessionId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The endpoint.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(explain))
}

/// All questions about a session or a connection.
#[derive(Debug, Serialize, ToSchema)]
struct Explained {
    /// The session, if it was asked for.
    session: Option<String>,
    /// The connection.
    conn_id: Option<String>,
    /// Since when it is complete, if older questions may be missing.
    complete_since: Option<String>,
    /// The questions in their order.
    questions: Vec<QuestionView>,
}

/// One question.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Question)]
struct QuestionView {
    /// The event's id.
    id: String,
    /// What was asked.
    #[schema(example = "authorize_publish")]
    event: &'static str,
    /// The stream, under the name that the verdict left it.
    key: Option<String>,
    /// The session that it was about, if there was one.
    session_id: Option<String>,
    /// When the verdict stood.
    at: String,
    /// What came of it: `allow` or `deny`; null if the client left before.
    verdict: Option<&'static str>,
    /// The hook that said no, or whose failure did.
    denied_by: Option<String>,
    /// Why, if it was refused.
    reason: Option<ReasonView>,
    /// What the client was told, if it was refused.
    public: Option<String>,
    /// Hooks that failed and whose policy let it through.
    failopen: Vec<String>,
    /// What decided in the place of an answer: `no_hook`, `no_opinion` or `on_error`; null if an answer decided.
    default: Option<&'static str>,
    /// Milliseconds from the question to its verdict.
    elapsed_ms: f64,
    /// Every hook, in the order of the chain.
    steps: Vec<StepView>,
}

/// One hook of a question.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Step)]
struct StepView {
    /// The hook's name.
    hook: String,
    /// Whether it was asked.
    matched: bool,
    /// Why, or why not: `asked`, `other_event`, `only_told`, `other_stream`, `disabled` or `not_reached`.
    why: &'static str,
    /// The delivery.
    delivery: Option<String>,
    /// How the call ended.
    outcome: Option<&'static str>,
    /// What it decided.
    decision: Option<&'static str>,
    /// The policy that acted in the place of an answer.
    policy: Option<String>,
    /// Milliseconds until it was sent.
    queued_ms: Option<f64>,
    /// Milliseconds to reach the handler.
    connect_ms: Option<f64>,
    /// Milliseconds from then to the end.
    handler_ms: Option<f64>,
    /// What it answered.
    answer: Option<AnswerView>,
    /// What a failure says of itself.
    detail: Option<String>,
    /// SHA-256 of the envelope as this hook saw it, in hexadecimal digits.
    input_sha256: Option<String>,
}

/// Explain a session
///
/// Why a session or connection was let in, renamed or refused.
#[utoipa::path(get, path = "/api/v1/explain/{id}", tag = "deliveries",
    params(("id" = String, Path, description = "A session, as `s000001`, or a connection, as `c000001`.")),
    responses((status = 200, description = "Its questions.", body = Explained),
        (status = 404, description = "No question about it is kept.", body = crate::problem::ProblemBody)),
    security(("bearer" = ["read"])))]
async fn explain(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Explained>, Problem> {
    caller.may_somewhere(Scope::Read)?;
    let subject = subject(&id)?;
    let found = api.deps.dispatch.deliveries().explain(subject).await;
    let questions: Vec<QuestionView> = found
        .questions
        .iter()
        .filter(|question| caller.can(Scope::Read, question.key.as_ref()))
        .map(|question| QuestionView::of(question))
        .collect();
    if questions.is_empty() {
        return Err(Problem::not_found(
            "No question about it is kept: no hook was asked, it is too old, or there was none of this id.",
        ));
    }
    Ok(Json(Explained {
        session: matches!(subject, Subject::Session(_)).then_some(id),
        conn_id: found.conn_id.map(|id| id.to_string()),
        complete_since: found.complete_since.map(rfc3339),
        questions,
    }))
}

fn subject(id: &str) -> Result<Subject, Problem> {
    let number = |prefix: char| {
        let digits = id.strip_prefix(prefix)?;
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u64>().ok()).flatten()
    };
    match (number('s'), number('c')) {
        (Some(session), _) => Ok(Subject::Session(SessionId(session))),
        (_, Some(connection)) => Ok(Subject::Connection(ConnId(connection))),
        _ => {
            Err(Problem::bad_request("This is no id of a session or connection, as `s000001` or `c000001`."))
        }
    }
}

impl QuestionView {
    fn of(question: &QuestionTrace) -> Self {
        let (denial, failopen) = match &question.verdict {
            Some(Verdict::Deny(denial)) => (Some(denial), Vec::new()),
            Some(Verdict::Allow { failopen, .. }) => {
                (None, failopen.iter().map(ToString::to_string).collect())
            }
            None => (None, Vec::new()),
        };
        Self {
            id: question.event_id.to_string(),
            event: question.event.name(),
            key: question.key.as_ref().map(ToString::to_string),
            session_id: question.session_id.map(|id| id.to_string()),
            at: rfc3339(question.at),
            verdict: question.verdict.as_ref().map(verdict_word),
            denied_by: denial.map(|denial| denial.hook.to_string()),
            reason: denial.and_then(|denial| ReasonView::of(&denial.reason)),
            public: denial.map(|denial| denial.public().to_owned()),
            failopen,
            default: question.fallback.map(|fallback| fallback.as_str()),
            elapsed_ms: millis(question.elapsed),
            steps: question.steps.iter().map(StepView::of).collect(),
        }
    }
}

/// `allow` or `deny`.
pub(crate) fn verdict_word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Allow { .. } => "allow",
        Verdict::Deny(_) => "deny",
    }
}

impl StepView {
    fn of(step: &QuestionStep) -> Self {
        let delivery = step.delivery.as_deref();
        let detail = delivery.map(|delivery| delivery.detail.to_string()).filter(|detail| !detail.is_empty());
        Self {
            hook: step.hook.to_string(),
            matched: step.why == Why::Asked,
            why: step.why.as_str(),
            delivery: delivery.map(|delivery| delivery.id.to_string()),
            outcome: delivery.map(|delivery| delivery.outcome.as_str()),
            decision: delivery.and_then(|delivery| delivery.decision.as_ref()).map(decision_word),
            policy: delivery.and_then(|delivery| delivery.policy.as_ref()).map(OnError::word),
            queued_ms: delivery.map(|delivery| millis(delivery.queued)),
            connect_ms: delivery.map(|delivery| millis(delivery.connect)),
            handler_ms: delivery.map(|delivery| millis(delivery.handler)),
            answer: delivery.and_then(|delivery| delivery.answer.as_ref()).map(AnswerView::of),
            detail,
            input_sha256: delivery.and_then(|delivery| delivery.input_sha256).map(hex),
        }
    }
}

fn hex(digest: [u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
