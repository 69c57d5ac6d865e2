//! Whether tokens of the API can be read on their way here.

use crate::config::{Config, HttpTable};
use jackfield_api::console::Exposure;
use jackfield_net::ListenAddr;

/// Looks at the listeners of HTTP, and says loudly in the log when clear text comes from other machines. The page says so to
/// everybody when there is nothing else, and else to who comes by it.
pub(crate) fn exposure(config: &Config) -> Exposure {
    let Some((exposure, warning)) = exposed(&config.http) else { return Exposure::Closed };
    let addr: Vec<String> = far(&config.http.listen.0).map(ToString::to_string).collect();
    tracing::warn!(proto = "http", addr = addr.join(" "), "{warning}");
    exposure
}

/// How the page is to say it, and what the log says; `None` if nothing is wrong.
fn exposed(http: &HttpTable) -> Option<(Exposure, &'static str)> {
    far(&http.listen.0).next()?;
    Some(if http.tls_listen.is_empty() {
        let warning = "HTTP takes clear text from other machines and there is no TLS: whoever is on the way can read tokens. Set \
                       `[http] tls_listen`, or listen on the loopback only";
        (Exposure::Open, warning)
    } else {
        let warning = "HTTP takes clear text from other machines beside TLS: whoever is on the way can read tokens that are sent \
                       there. Set `[http] listen` to the loopback, or to \"off\"";
        (Exposure::Closed, warning)
    })
}

/// Those that other machines can connect to.
fn far(listen: &[ListenAddr]) -> impl Iterator<Item = &ListenAddr> {
    listen.iter().filter(|addr| !addr.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    #[test]
    fn clear_text_for_other_machines_is_told_with_tls_beside_it_too() {
        let mut http = Config::load(&Flags::default(), []).expect("the defaults are valid").http;
        let mut check = |listen: &[&str], tls: &[&str], expect: Option<(Exposure, &str)>| {
            let read = |list: &[&str]| list.iter().map(|addr| addr.parse().expect("an address")).collect();
            (http.listen.0, http.tls_listen) = (read(listen), read(tls));
            let found = exposed(&http);
            assert_eq!(found.map(|(exposure, _)| exposure), expect.map(|(exposure, _)| exposure));
            let expect = expect.map_or("", |(_, words)| words);
            assert!(found.map_or("", |(_, warning)| warning).contains(expect), "{listen:?} {tls:?}");
        };
        let (open, beside) = ((Exposure::Open, "there is no TLS"), (Exposure::Closed, "beside TLS"));
        check(&["127.0.0.1:8080", "[::1]:8080"], &[], None);
        check(&[], &[":8443"], None);
        check(&["127.0.0.1:8080"], &[":8443"], None);
        check(&["127.0.0.1:8080", ":8080"], &[], Some(open));
        check(&[":8080"], &[":8443"], Some(beside));
        // Where other machines come by TLS on the loopback alone is their affair.
        check(&["192.0.2.1:8080"], &["127.0.0.1:8443"], Some(beside));
    }
}
