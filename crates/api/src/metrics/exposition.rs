//! A reading in the text form of OpenMetrics. This is the list of all metrics there are.

use super::reading::{Hook, Reading};
use jackfield_dispatch::{Histogram, Latency};
use jackfield_hooks::{BreakerState, Outcome};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt::Error;
use std::time::Duration;

/// Upper bounds of exported histograms in microseconds; each is a bound of [`Histogram`] too.
const BOUNDS_US: [u64; 20] = [
    10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000, 30_000_000,
];

/// The whole answer to a scrape.
pub(super) fn text(reading: Reading) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(reading));
    let mut text = String::with_capacity(16 * 1024);
    // Writing into a string does not fail, and neither do our figures.
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => text,
        Err(Error) => "# EOF\n".to_owned(),
    }
}

impl Collector for Reading {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut out = Out(encoder);
        self.server(&mut out)?;
        self.streams(&mut out)?;
        self.connections(&mut out)?;
        self.requests(&mut out)?;
        self.hook_states(&mut out)?;
        self.hook_counts(&mut out)?;
        self.hook_times(&mut out)?;
        self.log_of_notices(&mut out)?;
        self.deliveries(&mut out)?;
        self.process(&mut out)
    }
}

impl Reading {
    fn server(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("node", self.node.as_str())];
        let mut info = out.0.encode_descriptor("jackfield_build", "The server", None, MetricType::Info)?;
        info.encode_info(&labels)?;
        let uptime = self.uptime.as_secs_f64();
        out.gauge("jackfield_uptime_seconds", "Since the server started", uptime)?;
        let faults = self.faults.iter();
        let faults = faults.map(|fault| ([("service", fault.service), ("kind", fault.kind)], fault.count));
        out.counters("jackfield_service_faults", "What went wrong with peers of a service", faults)
    }

    fn streams(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let states = [("live", self.live), ("resumable", self.resumable)];
        let states = states.map(|(state, count)| ([("state", state)], float(count)));
        out.gauges("jackfield_streams", "Streams that can be played", states)?;
        out.gauge("jackfield_viewers", "Players of all streams", float(self.viewers))?;
        let all = &self.of_streams;
        out.counter("jackfield_media_frames", "Frames received", all.frames)?;
        out.counter("jackfield_media_bytes", "Bytes of the frames received", all.bytes)?;
        out.counter(
            "jackfield_media_time_repairs",
            "Time stamps that jumped and were mended",
            all.time_repairs,
        )?;
        out.counter("jackfield_media_refused_frames", "Frames of superseded publishers", all.refused_frames)?;
        out.counter(
            "jackfield_media_dropped_frames",
            "Frames that slow players who left did not get",
            all.dropped_frames,
        )?;
        out.counter(
            "jackfield_media_uncached_groups",
            "Groups of pictures too large to be cached",
            all.uncached_groups,
        )?;

        let of = |value: fn(&jackfield_hub::StreamSnapshot) -> f64| {
            self.streams.iter().map(move |stream| ([("stream", stream.key.as_str())], value(stream)))
        };
        let count = |value: fn(&jackfield_hub::StreamSnapshot) -> u64| {
            self.streams.iter().map(move |stream| ([("stream", stream.key.as_str())], value(stream)))
        };
        out.gauges("jackfield_stream_viewers", "Players of a stream", of(|stream| float(stream.viewers)))?;
        out.gauges(
            "jackfield_stream_uptime_seconds",
            "How long its publisher has been there",
            of(|stream| stream.uptime.as_secs_f64()),
        )?;
        out.gauges(
            "jackfield_stream_tracks",
            "Tracks of its publisher",
            of(|stream| float(stream.tracks.len())),
        )?;
        out.counters("jackfield_stream_frames", "Frames received", count(|stream| stream.counters.frames))?;
        out.counters(
            "jackfield_stream_bytes",
            "Bytes of the frames received",
            count(|stream| stream.counters.bytes),
        )
    }

    fn connections(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let open = self.connections.iter();
        let open = open.map(|(protocol, count)| ([("protocol", protocol.as_str())], float(*count)));
        out.gauges("jackfield_connections", "Open connections of clients", open)?;
        let all = &self.of_connections;
        out.counter("jackfield_connections_opened", "Connections taken in", all.opened)?;
        let refused = all.refused.iter().map(|(reason, count)| ([("reason", reason.as_str())], *count));
        out.counters(
            "jackfield_connections_refused",
            "Connections turned away, by the limit they were over",
            refused,
        )?;
        out.counter("jackfield_received_bytes", "Bytes read from sockets of clients", all.bytes_received)?;
        out.counter("jackfield_sent_bytes", "Bytes written to them", all.bytes_sent)
    }

    fn requests(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let answered = self.requests.iter().map(|(class, count)| ([("code", *class)], *count));
        out.counters(
            "jackfield_http_requests",
            "Requests that were answered, by the class of the status",
            answered,
        )?;
        out.gauge(
            "jackfield_http_open_requests",
            "Requests whose answer has not begun",
            float(self.open_requests),
        )?;
        out.counter("jackfield_http_failed_tokens", "Tokens shown that there are not", self.failed_tokens)
    }

    fn hook_states(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let of = |value: fn(&Hook) -> f64| self.hooks.iter().map(move |hook| (hook.label(), value(hook)));
        out.gauges(
            "jackfield_hook_enabled",
            "1 if it is called, 0 if it is disabled",
            of(|hook| truth(hook.status.disabled.is_none())),
        )?;
        let breakers = self.hooks.iter().flat_map(|hook| {
            let is = match hook.status.breaker {
                BreakerState::Closed => "closed",
                BreakerState::Open { .. } => "open",
                BreakerState::HalfOpen => "half_open",
            };
            let state = move |word| ([hook.name(), ("state", word)], truth(word == is));
            ["closed", "open", "half_open"].into_iter().map(state)
        });
        out.gauges("jackfield_hook_breaker", "1 for the state of its breaker", breakers)?;
        out.gauges(
            "jackfield_hook_queued_events",
            "Notices that wait",
            of(|hook| float(hook.status.queued)),
        )?;
        out.gauges(
            "jackfield_hook_queued_questions",
            "Questions that wait for room",
            of(|hook| float(hook.status.asking)),
        )?;
        let running = self.hooks.iter().flat_map(|hook| {
            let calls =
                [("notice", hook.status.notices_running), ("question", hook.status.questions_running)];
            calls.map(|(kind, count)| ([hook.name(), ("kind", kind)], float(count)))
        });
        out.gauges("jackfield_hook_calls", "Calls that run", running)?;
        let lags = || self.hooks.iter().filter_map(|hook| Some((hook.label(), hook.lag?)));
        let events = lags().map(|(label, lag)| (label, large(lag.events)));
        out.gauges("jackfield_hook_lag_events", "Events of the log that it has not done with", events)?;
        let seconds = lags().map(|(label, lag)| (label, lag.age.as_secs_f64()));
        out.gauges("jackfield_hook_lag_seconds", "Age of the oldest of them", seconds)
    }

    fn hook_counts(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let outcomes = self.hooks.iter().flat_map(|hook| {
            let of = |outcome: &Outcome| {
                ([hook.name(), ("outcome", outcome.as_str())], hook.status.tally.outcome(*outcome))
            };
            Outcome::ALL.iter().map(of)
        });
        out.counters("jackfield_hook_outcomes", "Ended calls", outcomes)?;
        let decisions = self.hooks.iter().flat_map(|hook| {
            let tally = &hook.status.tally;
            let words = [
                ("pass", tally.passed),
                ("allow", tally.allowed),
                ("deny", tally.denied),
                ("replace", tally.replaced),
            ];
            words.map(|(word, count)| ([hook.name(), ("decision", word)], count))
        });
        out.counters("jackfield_hook_decisions", "Answers to questions", decisions)?;
        let of = |value: fn(&Hook) -> u64| self.hooks.iter().map(move |hook| (hook.label(), value(hook)));
        out.counters(
            "jackfield_hook_failopens",
            "Questions that went on in spite of its failure",
            of(|hook| hook.status.tally.failopens),
        )?;
        out.counters(
            "jackfield_hook_retries",
            "Further tries of notices",
            of(|hook| hook.status.tally.retried),
        )?;
        out.counters(
            "jackfield_hook_lost_events",
            "Notices that are not tried again: dead letters",
            of(|hook| hook.status.tally.lost),
        )?;
        out.counters(
            "jackfield_hook_dropped_events",
            "Notices dropped because the queue was full",
            of(|hook| hook.status.tally.dropped),
        )?;
        out.counters(
            "jackfield_hook_abandoned_events",
            "Notices dropped because it was disabled or the server stopped",
            of(|hook| hook.status.tally.abandoned),
        )?;
        out.counters(
            "jackfield_hook_unknown_fields",
            "Fields of answers that are not known",
            of(|hook| hook.status.tally.unknown_fields),
        )?;
        out.counters(
            "jackfield_hook_restarts",
            "Workers started in the place of one that failed",
            of(|hook| hook.transport.restarts),
        )?;
        out.counter("jackfield_hook_stray_answers", "Answers that came too late or twice", self.stray_answers)
    }

    fn hook_times(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let times = self.hooks.iter().flat_map(|hook| {
            let Latency { queue, connect, handler } = &hook.record.latency.total;
            let phases = [("queue", queue), ("connect", connect), ("handler", handler)];
            phases.map(|(phase, histogram)| ([hook.name(), ("phase", phase)], histogram))
        });
        out.histograms("jackfield_hook_call_seconds", "Time of calls, in three parts", times)
    }

    fn log_of_notices(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let Some(outbox) = self.outbox else { return Ok(()) };
        out.gauge(
            "jackfield_outbox_failing",
            "1 while the disk takes no notices",
            truth(self.outbox_fails()),
        )?;
        out.counter("jackfield_outbox_written_events", "Notices written to the log", outbox.written)?;
        out.counter("jackfield_outbox_written_bytes", "Their bytes", outbox.written_bytes)?;
        out.counter("jackfield_outbox_write_errors", "Writes that failed", outbox.write_errors)?;
        out.counter("jackfield_outbox_syncs", "Syncs that were done", outbox.syncs)?;
        out.counter("jackfield_outbox_sync_errors", "Syncs that failed", outbox.sync_errors)?;
        out.counter("jackfield_outbox_lost_events", "Notices that are lost", outbox.lost)?;
        out.counter(
            "jackfield_outbox_unspared_events",
            "Notices for which the spare in memory had no room while they were not written",
            outbox.not_spared,
        )?;
        out.counter(
            "jackfield_outbox_unreadable_events",
            "Stored notices that could not be read back",
            outbox.unreadable,
        )?;
        out.gauge("jackfield_outbox_memory_events", "Notices in memory", float(outbox.memory_events))?;
        out.gauge("jackfield_outbox_memory_bytes", "What they take", float(outbox.memory_bytes))?;
        out.gauge("jackfield_outbox_log_bytes", "The log on disk", large(outbox.log_bytes))?;
        out.gauge(
            "jackfield_outbox_behind_events",
            "Notices that are not written yet",
            large(outbox.behind),
        )?;
        let keep = self.keep;
        out.counter("jackfield_cursor_syncs", "Syncs of cursors and dead letters", keep.syncs)?;
        out.counter("jackfield_cursor_sync_errors", "Those that failed", keep.sync_errors)
    }

    fn deliveries(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let kept = &self.deliveries;
        out.counter("jackfield_deliveries_kept", "Records of deliveries and questions", kept.kept)?;
        out.counter(
            "jackfield_deliveries_left_out",
            "Successful ones above the rate that is kept",
            kept.left_out,
        )?;
        out.counter("jackfield_deliveries_lost", "Records that the disk did not take", kept.lost)?;
        out.counter(
            "jackfield_deliveries_unreadable",
            "Stored records that could not be read back",
            kept.unreadable,
        )?;
        out.gauge(
            "jackfield_deliveries_unwritten",
            "Records that wait to be written",
            float(kept.unwritten),
        )?;
        out.gauge("jackfield_deliveries_failing", "1 while the disk takes none", truth(kept.failing))?;
        out.gauge("jackfield_deliveries_memory_bytes", "Records in memory", float(kept.memory_bytes))?;
        out.gauge("jackfield_deliveries_stored_bytes", "Records on disk", large(kept.bytes))?;
        let dead = &self.dead_letters;
        out.gauge("jackfield_dead_letters", "Dead letters that are kept", float(dead.kept))?;
        out.counter("jackfield_dead_letters_added", "Notices that became one", dead.added)?;
        out.counter(
            "jackfield_dead_letters_dropped",
            "Those that went for want of room or by age",
            dead.dropped,
        )?;
        out.gauge("jackfield_dead_letters_unwritten", "Those that are in memory only", float(dead.unwritten))
    }

    /// The names that Prometheus's own libraries give these.
    fn process(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let process = &self.process;
        if let Some(seconds) = process.cpu_seconds {
            out.counter("process_cpu_seconds", "Time on a processor", seconds)?;
        }
        let started =
            process.started.map(|started| Duration::from_micros(started.0.try_into().unwrap_or_default()));
        let gauges = [
            ("process_resident_memory_bytes", "Memory in use", process.resident_bytes.map(large)),
            ("process_virtual_memory_bytes", "Address space", process.virtual_bytes.map(large)),
            ("process_open_fds", "Open descriptors", process.open_descriptors.map(large)),
            ("process_max_fds", "How many may be open", process.max_descriptors.map(large)),
            ("process_threads", "Threads", process.threads.map(large)),
            (
                "process_start_time_seconds",
                "Unix time of the start",
                started.map(|started| started.as_secs_f64()),
            ),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                out.gauge(name, help, value)?;
            }
        }
        Ok(())
    }
}

impl Hook {
    fn name(&self) -> (&'static str, &str) {
        ("hook", self.status.name.as_str())
    }

    fn label(&self) -> [(&'static str, &str); 1] {
        [self.name()]
    }
}

/// Writes families of metrics. Names of counters are given without the `_total` that the form adds.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn counter(
        &mut self,
        name: &str,
        help: &str,
        value: impl prometheus_client::encoding::EncodeCounterValue,
    ) -> Result<(), Error> {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> Result<(), Error> {
        let each = |metric: &mut MetricEncoder<'_>, value| {
            metric.encode_counter::<NoLabelSet, u64, f64>(&value, None)
        };
        self.family(name, help, MetricType::Counter, values, each)
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, f64)>,
    ) -> Result<(), Error> {
        self.family(name, help, MetricType::Gauge, values, |metric, value| metric.encode_gauge(&value))
    }

    fn histograms<'h, L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, &'h Histogram)>,
    ) -> Result<(), Error> {
        self.family(name, help, MetricType::Histogram, values, |metric, histogram| {
            let mut below = 0;
            let mut buckets = Vec::with_capacity(BOUNDS_US.len() + 1);
            for bound in BOUNDS_US.map(Duration::from_micros) {
                let at_most = histogram.at_most(bound);
                buckets.push((bound.as_secs_f64(), at_most - below));
                below = at_most;
            }
            let count = histogram.count();
            buckets.push((f64::INFINITY, count - below));
            metric.encode_histogram::<NoLabelSet>(histogram.sum().as_secs_f64(), count, &buckets, None)
        })
    }

    /// A family without members is left out: its name alone would say nothing.
    fn family<L: EncodeLabelSet, V>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        values: impl IntoIterator<Item = (L, V)>,
        mut each: impl FnMut(&mut MetricEncoder<'_>, V) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in values {
            each(&mut family.encode_family(&labels)?, value)?;
        }
        Ok(())
    }
}

fn truth(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

/// Gauges are floating point numbers in the form itself.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn large(number: u64) -> f64 {
    number as f64
}

fn float(number: usize) -> f64 {
    large(number as u64)
}
