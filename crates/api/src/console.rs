//! The console: one page at `/` and what it loads from `/console/`, all of it built in.
//!
//! It is hand-written, `crates/api/console/`, and uses nothing but the API: whoever may call that can write another. Its
//! files are the same for everyone and hold no secrets, so they need no token; what they show does.
//!
//! | header | why |
//! |---|---|
//! | `Content-Security-Policy` | scripts and styles come from here alone, none stands in the page, none is made from text (Trusted Types), and nobody frames it |
//! | `X-Content-Type-Options`, `Referrer-Policy` | a file is what we say it is; addresses with stream names do not travel |
//! | `ETag`, `Cache-Control` | a browser asks each time and fetches what has changed, so that an update of the server is one of the console |
//!
//! The composition makes [`routes`] with the [`Exposure`] of its listeners, which the page tells loudly before a token is
//! typed.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jackfield_http::problem;
use std::hash::{DefaultHasher, Hash, Hasher};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const DRAWING: &str = "image/svg+xml";

/// How the page says that it is reached in clear text from other machines, and how it says that it is not.
const OPEN: &str = "data-exposure=\"open\"";
const CLOSED: &str = "data-exposure=\"closed\"";

const PAGE: &str = include_str!("../console/index.html");

macro_rules! files {
    ($($kind:ident $name:literal)*) => {
        /// What the page loads: path below `/console/`, type, content.
        const FILES: &[(&str, &str, &[u8])] =
            &[$(($name, $kind, include_bytes!(concat!("../console/", $name)))),*];
    };
}

files! {
    SCRIPT "api.js"
    SCRIPT "app.js"
    SCRIPT "dialog.js"
    SCRIPT "dom.js"
    SCRIPT "format.js"
    SCRIPT "icons.js"
    SCRIPT "page.js"
    SCRIPT "session.js"
    SCRIPT "theme.js"
    SCRIPT "widgets.js"
    SCRIPT "views/configuration.js"
    SCRIPT "views/connections.js"
    SCRIPT "views/dead-letters.js"
    SCRIPT "views/deliveries.js"
    SCRIPT "views/events.js"
    SCRIPT "views/explain.js"
    SCRIPT "views/hooks.js"
    SCRIPT "views/streams.js"
    STYLE "style.css"
    DRAWING "icon.svg"
}

/// Whether tokens can be read on their way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// HTTP comes from this machine alone, or there is a listener with TLS.
    Closed,
    /// HTTP comes from other machines too, and there is no listener with TLS.
    Open,
}

/// The console's routes: `/` and `/console/…`.
pub fn routes(exposure: Exposure) -> Router {
    let page = match exposure {
        Exposure::Closed => PAGE.to_owned(),
        Exposure::Open => PAGE.replace(CLOSED, OPEN),
    };
    let files =
        FILES.iter().map(|(name, kind, content)| (format!("/console/{name}"), *kind, Bytes::from(*content)));
    let all = std::iter::once(("/".to_owned(), HTML, Bytes::from(page))).chain(files);
    let routes = all.fold(Router::new(), |routes, (path, kind, content)| {
        let file = File::new(kind, content);
        routes.route(&path, get(move |headers: HeaderMap| std::future::ready(file.answer(&headers))))
    });
    routes.method_not_allowed_fallback(|| async {
        problem(
            StatusCode::METHOD_NOT_ALLOWED,
            "The console is only read; what it does goes through the API.",
        )
    })
}

/// One file as it is served.
#[derive(Debug, Clone)]
struct File {
    headers: HeaderMap,
    tag: String,
    content: Bytes,
}

impl File {
    fn new(kind: &'static str, content: Bytes) -> Self {
        // It tells versions apart, and nobody gains by making two alike.
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        let fixed = |name: HeaderName, value: &'static str| (name, HeaderValue::from_static(value));
        let mut headers = HeaderMap::from_iter([
            fixed(header::CONTENT_TYPE, kind),
            fixed(header::CONTENT_SECURITY_POLICY, POLICY),
            fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            fixed(header::REFERRER_POLICY, "no-referrer"),
            fixed(header::CACHE_CONTROL, "no-cache"),
        ]);
        headers.insert(header::ETAG, HeaderValue::from_str(&tag).expect("invariant: hexadecimal digits"));
        Self { headers, tag, content }
    }

    /// RFC 9110 §13.1.2: who has this version is not sent it again.
    fn answer(&self, asked: &HeaderMap) -> Response {
        let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut known = known.flat_map(|list| list.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
        if known.any(|tag| tag == "*" || tag == self.tag) {
            return (StatusCode::NOT_MODIFIED, self.headers.clone()).into_response();
        }
        (self.headers.clone(), self.content.clone()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("console")
    }

    fn names(folder: &Path, below: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                names(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }

    #[test]
    fn every_file_of_the_console_is_served() {
        let mut found = BTreeSet::new();
        names(&folder(), "", &mut found);
        assert!(found.remove("index.html"));
        let served: BTreeSet<String> = FILES.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(served, found);
    }

    #[test]
    fn what_the_files_name_is_served() {
        let served: BTreeSet<&str> = FILES.iter().map(|(name, ..)| *name).collect();
        for part in PAGE.split(['"', '\'']).filter_map(|part| part.strip_prefix("console/")) {
            assert!(served.contains(part), "{part}");
        }
        for (name, _, content) in FILES.iter().filter(|(_, kind, _)| *kind == SCRIPT) {
            let text = std::str::from_utf8(content).unwrap();
            let imports =
                text.lines().filter(|line| line.starts_with("import ") || line.starts_with("} from "));
            for import in imports {
                let path = import.split('\'').nth(1).unwrap_or_else(|| panic!("{name}: {import}"));
                let parent = if name.contains('/') { "views/" } else { "" };
                let path = match path.strip_prefix("../") {
                    Some(path) => path.to_owned(),
                    None => format!("{parent}{}", path.trim_start_matches("./")),
                };
                assert!(served.contains(path.as_str()), "{name}: {import}");
            }
        }
    }

    /// The policy forbids them in the browser too; here they fail before they are seen.
    #[test]
    fn nothing_makes_markup_or_code_of_text() {
        const NEVER: [&str; 9] = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "createContextualFragment",
            "DOMParser",
            "eval(",
            "new Function",
            "javascript:",
        ];
        for (name, kind, content) in FILES.iter().chain(&[("index.html", HTML, PAGE.as_bytes())]) {
            let text = std::str::from_utf8(content).unwrap();
            for never in NEVER {
                assert!(!text.contains(never), "{name} has {never}");
            }
            // Nothing comes from elsewhere; names of XML's vocabularies are no addresses.
            let elsewhere = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"), "{name}");
            if *kind == HTML {
                let mut attributes = text.split([' ', '\n', '>']).filter(|word| word.contains('='));
                assert!(
                    !attributes.any(|word| word.starts_with("on") || word.starts_with("style=")),
                    "{name}"
                );
                assert!(!text.contains("<style"), "{name}");
                let scripts = text.matches("<script ").count();
                assert_eq!((scripts, text.matches("></script>").count()), (2, 2), "scripts are files");
            }
        }
    }

    #[test]
    fn the_page_says_whether_it_is_exposed() {
        assert_eq!(PAGE.matches(CLOSED).count(), 1);
        assert!(!PAGE.contains(OPEN));
    }

    #[test]
    fn who_has_the_version_is_not_sent_it_again() {
        let file = File::new(SCRIPT, Bytes::from_static(b"1"));
        let answer = |tag: Option<&str>| {
            let tag = tag.map(|tag| (header::IF_NONE_MATCH, HeaderValue::from_str(tag).unwrap()));
            file.answer(&HeaderMap::from_iter(tag)).status()
        };
        assert_eq!(answer(None), StatusCode::OK);
        assert_eq!(answer(Some("\"0000000000000000\"")), StatusCode::OK);
        assert_eq!(answer(Some(&file.tag)), StatusCode::NOT_MODIFIED);
        assert_eq!(answer(Some(&format!("\"x\", W/{}", file.tag))), StatusCode::NOT_MODIFIED);
        assert_ne!(file.tag, File::new(SCRIPT, Bytes::from_static(b"2")).tag);
    }
}
