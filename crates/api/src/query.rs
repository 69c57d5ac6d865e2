//! What a URL says: paths, parameters, pages of lists.

use crate::problem::Problem;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jackfield_media::{ConnId, StreamKey, UnixTime};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// Items of a page unless told otherwise.
const DEFAULT_ITEMS: usize = 100;
/// Items of a page at most.
const MAX_ITEMS: usize = 1000;

/// The parameters of a query, or some of them: an operation may take them in several parts. What is wrong is 400; one that the
/// operation does not have is refused before.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self(query)),
            Err(error) => {
                let text = std::error::Error::source(&error).map_or_else(String::new, ToString::to_string);
                Err(unknown(&text, "parameter", Problem::bad_request)
                    .unwrap_or_else(|| Problem::bad_request(format!("The query is wrong: {text}."))))
            }
        }
    }
}

/// Serde's words for an unknown field, as a problem with the nearest of the known ones.
pub(crate) fn unknown(text: &str, what: &str, problem: impl FnOnce(String) -> Problem) -> Option<Problem> {
    let (_, rest) = text.split_once("unknown field `")?;
    let (field, expected) = rest.split_once('`')?;
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    Some(unknown_word(field, known, what, problem))
}

/// A word that is none of the known ones, as a problem with the nearest of them.
pub(crate) fn unknown_word<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    what: &str,
    problem: impl FnOnce(String) -> Problem,
) -> Problem {
    let word: String = word.chars().take(100).collect();
    let known: Vec<&str> = known.into_iter().collect();
    let near = known
        .iter()
        .map(|known| (strsim::jaro_winkler(&word, known), *known))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known);
    let hint = match (near, known.is_empty()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, true) => format!("no {what} is taken here."),
        (None, false) => format!("there are {}.", known.join(", ")),
    };
    let problem = problem(format!("Unknown {what} `{word}`: {hint}")).with("field", word);
    match near {
        Some(near) => problem.with("did_you_mean", near),
        None => problem,
    }
}

/// How alike two words must be to be suggested for each other (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.8;

/// How many items a page has: 1 to 1000, 100 if absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(usize);

impl Limit {
    pub(crate) fn items(self) -> usize {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_ITEMS)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.parse().ok().filter(|number| (1..=MAX_ITEMS).contains(number));
        number.map(Self).ok_or_else(|| D::Error::custom(format!("`limit` must be 1 to {MAX_ITEMS}")))
    }
}

impl PartialSchema for Limit {
    fn schema() -> RefOr<Schema> {
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(MAX_ITEMS))
            .default(Some(DEFAULT_ITEMS.into()));
        limit.into()
    }
}

impl ToSchema for Limit {}

/// Where the next page begins: opaque to clients, made and read by [`Cursor::of`] and [`Cursor::read`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(value_type = String)]
pub(crate) struct Cursor(String);

impl Cursor {
    /// A cursor that holds this; it is not secret.
    pub(crate) fn of(place: &impl Serialize) -> Self {
        let text = serde_json::to_vec(place).expect("invariant: places of lists are plain values");
        Self(URL_SAFE_NO_PAD.encode(text))
    }

    /// What it holds.
    ///
    /// # Errors
    /// 400 for what we did not make.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).ok();
        let place = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        place.ok_or_else(|| {
            Problem::bad_request("The `cursor` is none of this list: take `next` of the page before.")
                .with("field", "cursor")
        })
    }
}

/// Which page of a list: its parameters, beside those that say of what.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Items of a page; it may have fewer and still have a next one.
    #[param(inline)]
    pub(crate) limit: Limit,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

impl Page {
    /// Where it begins; `None` at the beginning of the list.
    ///
    /// # Errors
    /// 400 for a cursor that is none of this list.
    pub(crate) fn place<P: DeserializeOwned>(&self) -> Result<Option<P>, Problem> {
        self.cursor.as_ref().map(Cursor::read).transpose()
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// The `cursor` of the next page; null at the end.
    pub(crate) next: Option<Cursor>,
}

impl<T> Listed<T> {
    /// The first `limit` of `items`, which go on from the page's place; `place` is that after an item.
    pub(crate) fn page<P: Serialize>(
        items: impl IntoIterator<Item = T>,
        limit: Limit,
        place: impl Fn(&T) -> P,
    ) -> Self {
        let mut items = items.into_iter();
        let page: Vec<T> = items.by_ref().take(limit.items()).collect();
        let next = items.next().and_then(|_more| page.last().map(|last| Cursor::of(&place(last))));
        Self { items: page, next }
    }
}

/// A point in time in a query: RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) UnixTime);

impl std::str::FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse().map(|time: jiff::Timestamp| Self(UnixTime(time.as_microsecond())))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_bad| {
            D::Error::custom("a time must be RFC 3339, as `2026-11-21T10:00:00Z` (a `+` is written `%2B`)")
        })
    }
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(self.0))
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let time: Object = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .build();
        time.into()
    }
}

impl ToSchema for Time {}

/// As text in answers: RFC 3339 in UTC with microseconds.
pub(crate) fn rfc3339(time: UnixTime) -> String {
    let time = jiff::Timestamp::from_microsecond(time.0).unwrap_or_default();
    format!("{time:.6}")
}

/// The key of a stream in a path, percent-encoded; without a slash the app is `live`.
#[derive(Debug)]
pub(crate) struct KeyPath(pub(crate) StreamKey);

impl<S: Send + Sync> FromRequestParts<S> for KeyPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = segment(parts, state).await?;
        StreamKey::parse(&text)
            .map(Self)
            .map_err(|error| Problem::bad_request(format!("This is no key of a stream: {error}.")))
    }
}

/// The id of a connection in a path: `c000001`.
#[derive(Debug)]
pub(crate) struct ConnPath(pub(crate) ConnId);

impl<S: Send + Sync> FromRequestParts<S> for ConnPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = segment(parts, state).await?;
        let id = text.strip_prefix('c').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let id = id.and_then(|digits| digits.parse().ok());
        id.map(|id| Self(ConnId(id)))
            .ok_or_else(|| Problem::bad_request("This is no id of a connection, which looks like `c000001`."))
    }
}

async fn segment<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Problem> {
    let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
    path.map(|Path(text)| text).map_err(|_bad| Problem::bad_request("The path is not percent-encoded UTF-8."))
}
