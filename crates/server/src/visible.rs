//! What the server shows of itself: deliveries that are kept, and metrics on a listener of their own.

use crate::config::Config;
use crate::folder::DataFolder;
use crate::limits;
use crate::start::StartError;
use jackfield_api::{Fault, Metrics};
use jackfield_dispatch::{Deliveries, DeliveriesConfig};
use jackfield_events::Masker;
use jackfield_http::{HttpConfig, HttpServer};
use jackfield_net::BindError;
use jackfield_rtmp_server::CountersSnapshot;
use jackfield_runtime::Tasks;
use tokio::runtime::Handle;

/// Where it is kept what becomes of deliveries; it is written where notices are delivered.
pub(crate) fn deliveries(
    config: &Config,
    folder: &DataFolder,
    masker: Masker,
    (tasks, notices): (&Tasks, &Handle),
) -> Result<Deliveries, StartError> {
    let _context = notices.enter();
    let kept = DeliveriesConfig {
        retain: config.deliveries.retain,
        retain_bytes: config.deliveries.retain_bytes.0,
        ..DeliveriesConfig::new(folder.deliveries())
    };
    Deliveries::open(kept, masker, tasks).map_err(StartError::Deliveries)
}

/// The listener that serves metrics to everybody, if there is one.
pub(crate) fn serve_metrics(
    config: &Config,
    metrics: Metrics,
    tasks: &Tasks,
) -> Result<HttpServer, BindError> {
    let http = HttpConfig {
        name: "metrics",
        listen: config.metrics.listen.clone(),
        header_timeout: config.http.header_timeout,
        limits: limits::metrics(config),
        ..HttpConfig::default()
    };
    HttpServer::start(http, jackfield_api::metrics_routes(metrics), tasks)
}

/// What goes wrong with peers of RTMP.
pub(crate) fn faults(rtmp: &CountersSnapshot) -> Vec<Fault> {
    let CountersSnapshot {
        garbage,
        protocol_errors,
        over_limit,
        bad_proxy,
        bad_tls,
        malformed_media,
        left_out,
    } = *rtmp;
    let kinds = [
        ("garbage", garbage),
        ("protocol_error", protocol_errors),
        ("over_limit", over_limit),
        ("bad_proxy", bad_proxy),
        ("bad_tls", bad_tls),
        ("malformed_media", malformed_media),
        ("unreadable_data", left_out.unreadable_data),
        ("unknown_message", left_out.unknown_messages),
    ];
    kinds.into_iter().map(|(kind, count)| Fault { service: "rtmp", kind, count }).collect()
}
