//! The running server, as the tools meet it: its HTTP API.
//!
//! Every failure becomes a [`Failed`] that says what to do next. Nothing of a token is ever shown.

mod follow;
mod following;
mod problem;
mod since;
mod token;

pub(crate) use follow::Follow;
use follow::Next;
pub(crate) use following::{Following, Which};
pub(crate) use since::Since;

use crate::failed::{Exit, Failed};
use anyhow::Context;
use jackfield_net::outbound::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use jackfield_net::outbound::{Client, ClientConfig, Method, Outbound, Request, Response, Trust, Url};
use jackfield_runtime::clock;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use token::Token;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How long one that does much at once may take, such as a replay of all dead letters.
const LONG_ANSWER: Duration = Duration::from_secs(600);
/// Bytes of an answer: a page of a thousand deliveries with what was asked and said.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// Items of one page.
const PAGE: &str = "500";

/// Where the server is, and who asks.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Remote {
    /// Address of the server's HTTP listener.
    #[arg(long, value_name = "URL", env = "JACKFIELD_API", default_value = "http://127.0.0.1:8080")]
    #[arg(value_parser = address, hide_env_values = true)]
    api: Url,

    /// The token. Others on this machine can see a command line: prefer the variable. Without it the file admin.token in
    /// the data folder is read, for a server on this machine.
    #[arg(long, value_name = "TOKEN", env = "JACKFIELD_TOKEN", hide_env_values = true)]
    #[arg(value_parser = Token::parse)]
    token: Option<Token>,

    /// The server's data folder, for its admin.token.
    #[arg(id = "server-data-dir", long = "data-dir", value_name = "PATH", env = "JACKFIELD_DATA_DIR")]
    #[arg(default_value = "./jackfield-data")]
    data_dir: PathBuf,

    /// Believe only the authorities in this file (PEM), and not the system's.
    #[arg(id = "api-ca", long = "tls-ca", value_name = "PATH")]
    ca: Option<PathBuf>,
}

/// Reads an address as people type it.
fn address(text: &str) -> Result<Url, String> {
    let text = match text {
        port if port.starts_with(':') => format!("http://127.0.0.1{port}"),
        bare if !bare.contains("://") => format!("http://{bare}"),
        whole => whole.to_owned(),
    };
    let url = Url::parse(&text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("it begins with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err("it is an address alone; who asks is told by --token".to_owned());
    }
    Ok(url)
}

/// Names and values of a query.
pub(crate) type Query<'a> = [(&'a str, String)];

/// A client of one server's API.
pub(crate) struct Api {
    base: Url,
    token: Option<Token>,
    data_dir: PathBuf,
    client: Client,
}

impl Api {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// When the authority's file cannot be read.
    pub(crate) fn new(options: Remote) -> anyhow::Result<Self> {
        let Remote { api: base, token, data_dir, ca } = options;
        let trust = match ca {
            Some(path) => {
                Trust::Only(std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?)
            }
            None => Trust::System,
        };
        let outbound = Outbound::new(4, concat!("jackfield/", env!("CARGO_PKG_VERSION")));
        let client = outbound.client(ClientConfig { trust, ..ClientConfig::default() })?;
        let token = token.or_else(|| Token::of_this_machine(&base, &data_dir));
        Ok(Self { base, token, data_dir, client })
    }

    /// The server's address, as an error shows it.
    pub(crate) fn address(&self) -> String {
        self.base.to_string().trim_end_matches('/').to_owned()
    }

    /// A document.
    ///
    /// # Errors
    /// [`Failed`].
    pub(crate) async fn get(&self, path: &[&str], query: &Query<'_>) -> anyhow::Result<Value> {
        self.call(Method::GET, path, query, None, ANSWER).await
    }

    /// Changes something.
    ///
    /// # Errors
    /// [`Failed`].
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &Query<'_>,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        self.call(method, path, query, body, LONG_ANSWER).await
    }

    /// Hands over the items of a list, until there are no more, `most` have come, or `each` wants no more.
    ///
    /// # Errors
    /// [`Failed`], and what `each` fails with.
    pub(crate) async fn list(
        &self,
        path: &[&str],
        query: &Query<'_>,
        most: usize,
        mut each: impl FnMut(Value) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.pages(path, query, most, |items| items.into_iter().try_for_each(&mut each)).await
    }

    /// The same, page by page. A page may be empty and yet have one behind it: the server looks through so many records at
    /// a time.
    ///
    /// # Errors
    /// As [`Api::list`].
    pub(crate) async fn pages(
        &self,
        path: &[&str],
        query: &Query<'_>,
        most: usize,
        mut each: impl FnMut(Vec<Value>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut left = most;
        let mut cursor = None;
        while left > 0 {
            let mut query = query.to_vec();
            let page = PAGE.parse().unwrap_or(left).min(left);
            query.push(("limit", page.to_string()));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query).await?;
            let items = page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
            let mut items = items.ok_or_else(|| self.no_api("its answer is no list"))?;
            items.truncate(left);
            left -= items.len();
            each(items)?;
            match page.get("next").and_then(Value::as_str) {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        Ok(())
    }

    /// Opens a stream of events; its body is still to come.
    async fn open(&self, path: &[&str], query: &Query<'_>, after: Option<&str>) -> anyhow::Result<Response> {
        let mut request = self.request(Method::GET, path, query);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(after) = after.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert("last-event-id", after);
        }
        let response = self.answer(request, ANSWER).await?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let kind = response.header(CONTENT_TYPE).unwrap_or_default();
        if kind.starts_with("text/event-stream") {
            Ok(response)
        } else {
            Err(self.no_api("its answer is no stream of events").into())
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &Query<'_>,
        body: Option<&Value>,
        within: Duration,
    ) -> anyhow::Result<Value> {
        let mut request = self.request(method, path, query);
        if let Some(body) = body {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.to_string().into());
        }
        let response = self.answer(request, within).await?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let body = clock::until(clock::now().after(within), response.body(MAX_ANSWER_BYTES)).await;
        let body =
            body.ok_or_else(|| self.silent())?.map_err(|error| self.unreachable(&error.to_string()))?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|_broken| self.no_api("its answer is no JSON").into())
    }

    fn request(&self, method: Method, path: &[&str], query: &Query<'_>) -> Request {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = Request::new(method, url);
        if let Some(token) = &self.token {
            request.headers_mut().insert(AUTHORIZATION, token.header());
        }
        request
    }

    async fn answer(&self, request: Request, within: Duration) -> anyhow::Result<Response> {
        let place = self.client.place().await;
        let answer =
            clock::until(clock::now().after(within), Box::pin(self.client.send(place, request))).await;
        let answer = answer.ok_or_else(|| self.silent())?;
        Ok(answer.map_err(|error| self.unreachable(&error.to_string()))?)
    }

    /// No answer came in time.
    pub(crate) fn silent(&self) -> Failed {
        self.unreachable("no answer in time")
    }

    fn unreachable(&self, why: &str) -> Failed {
        let wrong = format!("cannot reach the server at {}: {why}", self.address());
        let next = if why.contains("certificate") {
            "--tls-ca FILE names an authority of your own that is to be believed."
        } else {
            "Is it running there, with its HTTP listener on? --api URL or JACKFIELD_API names another address."
        };
        Failed::new(Exit::Unreachable, wrong, next)
    }

    fn no_api(&self, why: &str) -> Failed {
        let wrong = format!("what answers at {} is not the API of Jackfield: {why}", self.address());
        Failed::new(Exit::Unreachable, wrong, "--api URL or JACKFIELD_API names another address.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_people_type_it() {
        let read = |text| address(text).map(|url| url.to_string());
        for (typed, meant) in [
            (":9", "http://127.0.0.1:9/"),
            ("media.example:8080", "http://media.example:8080/"),
            ("localhost", "http://localhost/"),
            ("https://h/jackfield", "https://h/jackfield"),
            ("[::1]:8080", "http://[::1]:8080/"),
        ] {
            assert_eq!(read(typed).as_deref(), Ok(meant), "{typed}");
        }
        for wrong in ["ftp://h", "http://", "http://u:p@h", "http://h?token=x", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_with_slashes_is_one_part_of_a_path_and_a_prefix_stays() {
        let remote = |base: &str| Remote {
            api: address(base).unwrap(),
            token: None,
            data_dir: PathBuf::new(),
            ca: None,
        };
        let url = |base| {
            let api = Api::new(remote(base)).unwrap();
            let query = [("since", "2026-01-01T00:00:00Z".to_owned()), ("key", "live/a b".to_owned())];
            api.request(Method::GET, &["streams", "live/show"], &query).url().to_string()
        };
        let path = "api/v1/streams/live%2Fshow?since=2026-01-01T00%3A00%3A00Z&key=live%2Fa+b";
        assert_eq!(url("http://h"), format!("http://h/{path}"));
        assert_eq!(url("http://h/media/"), format!("http://h/media/{path}"));
    }
}
