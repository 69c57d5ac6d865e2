//! The document as one page of HTML, made of nothing but itself: no script, no image, no other file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::fmt::{self, Display, Write};

const STYLE: &str = include_str!("page.css");

/// Errors that any operation may answer with; they are told once.
const EVERYWHERE: [&str; 5] = ["401", "403", "429", "503", "default"];

/// The content security policy of the page: its own style and nothing else.
pub(super) fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
}

/// The page.
pub(super) fn html(document: &Value) -> String {
    let mut out = String::new();
    write_page(&mut out, document).expect("invariant: a String takes all");
    out
}

/// Text as text, whatever is in it.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;"),
                '<' => f.write_str("&lt;"),
                '>' => f.write_str("&gt;"),
                '"' => f.write_str("&quot;"),
                c => f.write_char(c),
            }?;
        }
        Ok(())
    }
}

/// Text in which what stands between backticks is code, and an empty line begins a paragraph.
struct Prose<'a>(&'a str);

impl Display for Prose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for paragraph in self.0.split("\n\n").filter(|text| !text.trim().is_empty()) {
            write!(f, "<p>{}</p>", Line(paragraph))?;
        }
        Ok(())
    }
}

struct Line<'a>(&'a str);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.split('`').enumerate() {
            if index % 2 == 0 {
                write!(f, "{}", Escaped(part))?;
            } else {
                write!(f, "<code>{}</code>", Escaped(part))?;
            }
        }
        Ok(())
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn members<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(key).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn write_page(out: &mut String, document: &Value) -> fmt::Result {
    let info = document.get("info").unwrap_or(&Value::Null);
    write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} API</title><style>{STYLE}</style></head><body><header><h1>{title} API <small>{version}</small></h1>{about}\
         <p>Besides what stands there, any operation may answer with 401, 403, 429, 503 or another error, each a \
         <a href=\"#type-Problem\">Problem</a>.</p><p>For programs: <a href=\"/api/v1/openapi.json\">openapi.json</a></p></header><nav><h2>Operations</h2>",
        title = Escaped(text(info, "title")),
        version = Escaped(text(info, "version")),
        about = Prose(text(info, "description")),
    )?;
    for tag in items(document, "tags") {
        write_menu(out, document, text(tag, "name"))?;
    }
    out.push_str("</nav><main>");
    for tag in items(document, "tags") {
        write_tag(out, document, tag)?;
    }
    out.push_str("<section><h2 id=\"schemas\">Types</h2>");
    let schemas = document.pointer("/components").unwrap_or(&Value::Null);
    for (name, schema) in members(schemas, "schemas") {
        write_schema(out, name, schema)?;
    }
    out.push_str("</section></main></body></html>\n");
    Ok(())
}

/// The operations of a tag: method, path and what stands there.
fn operations<'a>(document: &'a Value, tag: &'a str) -> impl Iterator<Item = (&'a str, &'a str, &'a Value)> {
    let all = members(document, "paths").flat_map(|(path, entry)| {
        let methods = entry.as_object().into_iter().flat_map(Map::iter);
        methods.map(|(method, operation)| (method.as_str(), path.as_str(), operation))
    });
    all.filter(move |(.., operation)| items(operation, "tags").any(|name| name == tag))
}

/// A name for links: `get-api-v1-streams`.
fn anchor(method: &str, path: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("{method}{}", path.chars().map(word).collect::<String>())
}

fn write_menu(out: &mut String, document: &Value, tag: &str) -> fmt::Result {
    let mut all = operations(document, tag).peekable();
    if all.peek().is_none() {
        return Ok(());
    }
    write!(out, "<h3>{}</h3><ul>", Escaped(tag))?;
    for (method, path, operation) in all {
        let link = anchor(method, path);
        write!(out, "<li><a href=\"#{link}\">{}</a></li>", Line(text(operation, "summary")))?;
    }
    out.push_str("</ul>");
    Ok(())
}

fn write_tag(out: &mut String, document: &Value, tag: &Value) -> fmt::Result {
    let name = text(tag, "name");
    let mut all = operations(document, name).peekable();
    if all.peek().is_none() {
        return Ok(());
    }
    write!(out, "<section><h2>{}</h2>{}", Escaped(name), Prose(text(tag, "description")))?;
    for (method, path, operation) in all {
        write_operation(out, method, path, operation)?;
    }
    out.push_str("</section>");
    Ok(())
}

fn write_operation(out: &mut String, method: &str, path: &str, operation: &Value) -> fmt::Result {
    write!(
        out,
        "<article id=\"{}\"><h3>{}</h3><p class=\"route\"><b class=\"{method}\">{}</b> <code>{}</code></p>{}",
        anchor(method, path),
        Line(text(operation, "summary")),
        method.to_ascii_uppercase(),
        Escaped(path),
        Prose(text(operation, "description")),
    )?;
    let ways: Vec<&Value> = items(operation, "security").collect();
    let scopes: Vec<&str> =
        ways.iter().flat_map(|way| items(way, "bearer")).filter_map(Value::as_str).collect();
    let needs = match (ways.iter().any(|way| way.as_object().is_some_and(Map::is_empty)), scopes.first()) {
        (true, _) => "no token".to_owned(),
        (false, None) => "any token".to_owned(),
        (false, Some(scope)) => format!("scope <code>{}</code>", Escaped(scope)),
    };
    write!(out, "<p class=\"needs\">Needs {needs}.</p>")?;
    write_parameters(out, operation)?;
    if let Some((kind, content)) =
        operation.get("requestBody").and_then(|body| members(body, "content").next())
    {
        let schema = content.get("schema").unwrap_or(&Value::Null);
        write!(out, "<p>Body: {} ({})</p>", kind_of(schema), Escaped(kind))?;
    }
    out.push_str("<table><thead><tr><th>Answer</th><th>Body</th><th></th></tr></thead><tbody>");
    for (status, response) in
        members(operation, "responses").filter(|(status, response)| is_own(status, response))
    {
        let body = members(response, "content").next().and_then(|(_, content)| content.get("schema"));
        write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            Escaped(status),
            body.map_or_else(String::new, kind_of),
            Line(text(response, "description"))
        )?;
    }
    out.push_str("</tbody></table></article>");
    Ok(())
}

/// Whether an answer is one of this operation, and none that all have.
fn is_own(status: &str, response: &Value) -> bool {
    let is_problem = members(response, "content").any(|(kind, _)| kind == "application/problem+json");
    !is_problem || !EVERYWHERE.contains(&status)
}

fn write_parameters(out: &mut String, operation: &Value) -> fmt::Result {
    let mut all = items(operation, "parameters").peekable();
    if all.peek().is_none() {
        return Ok(());
    }
    out.push_str("<table><thead><tr><th>Parameter</th><th>Type</th><th></th></tr></thead><tbody>");
    for parameter in all {
        let schema = parameter.get("schema").unwrap_or(&Value::Null);
        let place = if text(parameter, "in") == "path" { "path" } else { "query" };
        write!(
            out,
            "<tr><td><code>{}</code> <small>{place}</small></td><td>{}</td><td>{}</td></tr>",
            Escaped(text(parameter, "name")),
            kind_of(schema),
            Line(text(parameter, "description"))
        )?;
    }
    out.push_str("</tbody></table>");
    Ok(())
}

fn write_schema(out: &mut String, name: &str, schema: &Value) -> fmt::Result {
    write!(
        out,
        "<article id=\"type-{}\"><h3>{}</h3>{}",
        anchor("", name),
        Escaped(name),
        Prose(text(schema, "description"))
    )?;
    if schema.get("properties").is_none() {
        return write!(out, "<p>{}</p></article>", kind_of(schema));
    }
    out.push_str("<table><thead><tr><th>Field</th><th>Type</th><th></th></tr></thead><tbody>");
    for (field, schema) in members(schema, "properties") {
        let (kind, about) = (kind_of(schema), Line(text(schema, "description")));
        write!(out, "<tr><td><code>{}</code></td><td>{kind}</td><td>{about}</td></tr>", Escaped(field))?;
    }
    out.push_str("</tbody></table></article>");
    Ok(())
}

/// A schema in a few words of HTML.
fn kind_of(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        return format!("<a href=\"#type-{}\">{}</a>", anchor("", name), Escaped(name));
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        let kinds: Vec<String> = items(schema, key).map(kind_of).collect();
        if !kinds.is_empty() {
            return kinds.join(" or ");
        }
    }
    let words: Vec<String> = items(schema, "enum")
        .filter_map(Value::as_str)
        .map(|word| format!("<code>{}</code>", Escaped(word)))
        .collect();
    if !words.is_empty() {
        return words.join(" ");
    }
    let one = |word: &str| match word {
        "array" => format!("list of {}", schema.get("items").map_or_else(|| "values".to_owned(), kind_of)),
        "integer" => "number".to_owned(),
        "object" => "object".to_owned(),
        other => Escaped(other).to_string(),
    };
    match schema.get("type") {
        Some(Value::String(word)) => one(word),
        Some(Value::Array(words)) => {
            words.iter().filter_map(Value::as_str).map(one).collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_in_the_document_is_text_and_no_markup() {
        let document = json!({
            "info": {"title": "<b>x", "description": "a `<i>` b\n\nc"},
            "tags": [{"name": "t\"><script>"}],
            "paths": {"/a/{<x>}": {"get": {"tags": ["t\"><script>"], "summary": "<u>", "security": [{}],
                "responses": {"200": {"description": "<s>"}}}}},
            "components": {"schemas": {"<T>": {"properties": {"<f>": {"type": ["string", "null"]}}}}},
        });
        let page = html(&document);
        assert!(
            ["<b>x", "<i>", "<script>", "<u>", "<s>", "<x>", "<T>", "<f>"]
                .iter()
                .all(|tag| !page.contains(tag)),
            "{page}"
        );
        assert!(
            page.contains("<code>&lt;i&gt;</code> b</p><p>c</p>") && page.contains("string or null"),
            "{page}"
        );
    }

    #[test]
    fn the_page_is_all_that_it_needs() {
        let page = html(&crate::openapi::finish(crate::openapi::head()));
        assert!(
            ["<script", "src=", "@import", "url(", " style="].iter().all(|word| !page.contains(word)),
            "{page}"
        );
        assert!(policy().starts_with("default-src 'none'; style-src 'sha256-"));
    }
}
