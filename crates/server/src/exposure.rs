//! Whether tokens of the API can be read on their way here.

use crate::config::Config;
use jackfield_api::console::Exposure;
use jackfield_net::ListenAddr;

/// Looks at the listeners of HTTP, and says loudly in the log when clear text is all there is and it comes from other
/// machines too.
pub(crate) fn exposure(config: &Config) -> Exposure {
    let far: Vec<String> = far(&config.http.listen.0).map(ToString::to_string).collect();
    if far.is_empty() || !config.http.tls_listen.is_empty() {
        return Exposure::Closed;
    }
    tracing::warn!(
        proto = "http",
        addr = far.join(" "),
        "HTTP takes clear text from other machines and there is no TLS: whoever is on the way can read tokens. Set \
         `[http] tls_listen`, or listen on the loopback only"
    );
    Exposure::Open
}

/// Those that other machines can connect to.
fn far(listen: &[ListenAddr]) -> impl Iterator<Item = &ListenAddr> {
    listen.iter().filter(|addr| !addr.is_loopback())
}
