//! The OpenAPI document: all that it names is there, and all that is there is in it.

use super::*;

#[tokio::test]
async fn every_documented_operation_exists_and_wants_a_token_with_its_scope() {
    let kit = Kit::new();
    let document = kit.get("/api/v1/openapi.json").await.body;
    let operations = operations(&document);
    assert!(operations.len() >= 14, "{operations:?}");
    for (method, path, scope) in operations {
        let is_open = matches!(
            (method.as_str(), path.as_str()),
            ("GET", "/api/v1/health") | ("POST", "/api/v1/session")
        );
        let anybody = kit.ask(&method, &path, "").await.status;
        assert_eq!(anybody == StatusCode::UNAUTHORIZED, !is_open, "{method} {path}: {anybody}");
        if let Some(scope) = scope {
            let others: Vec<Scope> = Scope::ALL.into_iter().filter(|other| *other != scope).collect();
            let refused = kit.ask(&method, &path, &kit.token(&others, None)).await;
            let (status, detail) = refused.problem();
            assert!(status == 403 && detail.contains(scope.as_str()), "{method} {path}: {status} {detail}");
        }
        let allowed = kit.ask(&method, &path, &kit.admin()).await;
        let status = allowed.status.as_u16();
        assert!(
            ![401, 403, 405].contains(&status) && !allowed.text.contains("no such endpoint"),
            "{method} {path}: {status}"
        );
        assert_ne!(status, 500, "{method} {path}: {}", allowed.text);
        if status >= 400 && !path.ends_with("/health") {
            allowed.problem();
        }
    }
}

#[tokio::test]
async fn the_document_is_openapi_and_says_what_every_operation_can_answer() {
    let kit = Kit::new();
    let document = kit.get("/api/v1/openapi.json").await.body;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "the document has no type {name}");
    }
    for path in document["paths"].as_object().unwrap().values() {
        for operation in path.as_object().unwrap().values() {
            let says = |status: &str| operation["responses"].get(status).is_some();
            assert!(says("default") && says("401") && operation["summary"].is_string(), "{operation}");
            assert!(operation.get("requestBody").is_none() || (says("413") && says("422")), "{operation}");
        }
    }
}

#[tokio::test]
async fn the_document_can_be_read_by_people() {
    let kit = Kit::new();
    let page = kit.get("/api/v1/docs").await;
    assert_eq!(page.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
    assert!(page.header(header::CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"));
    assert!(page.text.contains("End a publisher") && page.text.contains("/api/v1/streams/{key}/publisher"));
}
