//! The tables of the configuration. Each doc comment is what the reference, the example and `--help` say.

use super::kinds::{
    ApiOrigins, Command, EventNames, FsyncWord, Headers, ListenOrOff, OnErrorWord, ProxyNetwork,
    SigningSecret, SpareWord, StartWord, Url, Variable,
};
use super::table::tables;
use super::value::words;
use bytesize::ByteSize;
use jackfield_net::ListenAddr;
use std::path::PathBuf;
use std::time::Duration;

words! {
    /// How much is logged.
    pub enum LogLevel {
        /// Data was lost, or an operator is needed.
        Error = "error",
        /// Something went wrong and was dealt with.
        Warn = "warn",
        /// Lifecycle: listeners, connections, streams.
        Info = "info",
        /// Decisions, and each hook call.
        Debug = "debug",
        /// Packets.
        Trace = "trace",
    }

    /// The form of a log line.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }

    /// The newest version of TLS that a listener speaks.
    pub enum TlsVersionWord {
        /// For clients whose handshake of 1.3 fails.
        Tls12 = "1.2",
        /// Everything that there is.
        Tls13 = "1.3",
    }

    /// What happens to a second publisher of a live key.
    pub enum TakeoverWord {
        /// It replaces one that sent nothing for 3 s, else it is refused.
        Stale = "stale",
        /// It is refused.
        Refuse = "refuse",
        /// It replaces the first.
        Replace = "replace",
    }

    /// The form of an event on standard output.
    pub enum StdioForm {
        /// `RTMP_EVENT: {…}`.
        Json = "json",
        /// `{…}`.
        Ndjson = "ndjson",
        /// `RTMP_EVENT: KEY=value …`.
        Env = "env",
    }

    /// Where a `stdio` hook writes.
    pub enum StdioTarget {
        /// Standard output.
        Stdout = "stdout",
        /// Standard error.
        Stderr = "stderr",
    }

    /// Whether somebody waits for a hook.
    pub enum ModeWord {
        /// Nobody waits.
        Notify = "notify",
        /// A question waits for its answer.
        Decide = "decide",
    }

    /// What a `run` program finds on its standard input.
    pub enum StdinWord {
        /// The event as one line of JSON.
        Event = "event",
        /// Nothing.
        None = "none",
    }
}

tables! {
    /// The process.
    pub struct ServerTable "server" {
        /// Name of this server in every event; the host's name if absent.
        node: Option<String> = none like "media-1",
        /// Folder for what the server keeps; made with mode 0700 when first needed.
        data_dir: PathBuf = "./jackfield-data" flag "data-dir",
        /// What is logged on standard error: `error`, `warn`, `info`, `debug` (each hook call) or `trace`.
        log_level: LogLevel = "info" flag "log-level",
        /// Form of the log: `text` or `json`.
        log_format: LogFormat = "text" flag "log-format",
        /// Connections in total; the descriptor limit is raised to the hard one at start.
        max_connections: usize = 65536 in 1 ..= 1000000,
        /// Connections per client address, 0 for no limit; loopback and `trusted_proxies` never count, an IPv6 address counts
        /// as its /64.
        max_connections_per_address: usize = 0 in 0 ..= 1000000,
        /// New connections a second per client address, and twice as many at once; 0 for no limit. Who never counts is as above.
        max_connection_rate_per_address: u32 = 100 in 0 ..= 1000000,
        /// How long hooks are given at stop to deliver what they still hold.
        drain_timeout: Duration = "10s" in "0s" ..= "10m",
    }

    /// The RTMP listener.
    pub struct RtmpTable "rtmp" {
        /// Addresses; `:1935` is all addresses of IPv6 and IPv4, port 0 any free port.
        listen: Vec<ListenAddr> = [":1935"] flag "listen",
        /// Chunk size of what the server sends, in bytes.
        chunk_size: ByteSize = "4KiB" in 128 ..= 65536 flag "chunk-size",
        /// A client that has not ended its handshake by then is closed.
        handshake_timeout: Duration = "10s" in "100ms" ..= "1m",
        /// A client that is connected and neither publishes nor plays, nor asks to, for so long is closed.
        idle_timeout: Duration = "1m" in "1s" ..= "1d",
        /// A publisher that sends nothing for so long is closed.
        publish_timeout: Duration = "30s" in "1s" ..= "1h",
    }

    /// The RTMP listener under TLS. `[[rtmps]]` instead makes several, each with settings of its own.
    pub struct RtmpsTable "rtmps" {
        /// Addresses.
        listen: Vec<ListenAddr> = [] like [":1936"] flag "rtmps-listen",
        /// PEM files of the certificate, with those between it and its authority. Several are chosen by the name that
        /// the client asks for (SNI); the first is the default. Read again on SIGHUP and when they change. A second
        /// `[[rtmps]]` without any has those of the first.
        cert: Vec<PathBuf> = [] like ["fullchain.pem"] flag "tls-cert",
        /// PEM files of the certificates' keys, in the same order.
        key: Vec<PathBuf> = [] like ["privkey.pem"] flag "tls-key",
        /// The newest version of TLS: `1.3`, or `1.2` for old clients whose handshake of 1.3 fails. 1.2 is the oldest.
        tls_max: TlsVersionWord = "1.3",
    }

    /// The HTTP listener.
    pub struct HttpTable "http" {
        /// Addresses; `"off"` turns HTTP off.
        listen: ListenOrOff = [":8080"] flag "http-listen",
        /// Addresses of HTTPS, with HTTP/2 and HTTP/1.1.
        tls_listen: Vec<ListenAddr> = [] like [":8443"],
        /// PEM files of the certificate, as in `[rtmps]`; if absent, those of `[rtmps]`.
        cert: Vec<PathBuf> = [] like ["fullchain.pem"],
        /// PEM files of the certificates' keys, in the same order.
        key: Vec<PathBuf> = [] like ["privkey.pem"],
        /// Connections in total.
        max_connections: usize = 4096 in 1 ..= 1000000,
        /// Connections per client address, 0 for no limit. Who never counts is as in `[server]`: the loopback and
        /// `trusted_proxies`.
        max_connections_per_address: usize = 512 in 0 ..= 1000000,
        /// New connections a second per client address, and twice as many at once; 0 for no limit.
        max_connection_rate_per_address: u32 = 100 in 0 ..= 1000000,
        /// A client that has not sent its request's head by then is closed.
        header_timeout: Duration = "10s" in "100ms" ..= "10m",
    }

    /// Streams between publisher and players.
    pub struct HubTable "hub" {
        /// Second publisher of a live key: `stale` (it replaces one that sent nothing for 3 s, else it is
        /// refused), `refuse` or `replace`.
        takeover: TakeoverWord = "stale",
        /// What a player's socket may leave untaken before it is dropped to the next key frame.
        queue_bytes: ByteSize = "4MiB" in "64KiB" ..= "1GiB",
        /// The same in milliseconds.
        queue_ms: u64 = 5000 in 100 ..= 600000,
        /// A player that stays over its queue for so many milliseconds is disconnected.
        slow_ms: u64 = 15000 in 100 ..= 3600000,
        /// How many milliseconds a player waits for a stream that is not there.
        wait_ms: u64 = 10000 in 0 ..= 3600000,
        /// A publisher that is back within so many milliseconds keeps its players; 0 is off.
        resume_ms: u64 = 0 in 0 ..= 600000,
        /// How many milliseconds frames may be held to be sent with the next.
        max_latency_ms: u64 = 40 in 0 ..= 1000,
    }

    /// Secrets, proxies and guessing.
    pub struct SecurityTable "security" {
        /// Networks whose connections begin with a PROXY protocol v2 header: `["10.0.0.0/8"]`.
        trusted_proxies: Vec<ProxyNetwork> = [],
        /// Query parameters, besides the built-in ones, whose values read `***` outside of questions.
        secret_params: Vec<String> = [],
        /// Denials a minute and client address that delay nothing; from then on the next question about it waits 1 s, 2 s, 4 s …
        /// 10 s. 0 never delays; loopback and `trusted_proxies` never wait, an IPv6 address counts as its /64.
        max_denials_per_minute: u32 = 5 in 0 ..= 1000000,
        /// How often the files of certificates are looked at; what has changed is read at the look after.
        certificate_check: Duration = "5s" in "100ms" ..= "1d",
    }

    /// The HTTP API.
    pub struct ApiTable "api" {
        /// Origins whose pages may use the API from a browser, with a token: `["https://console.example"]`.
        cors: ApiOrigins = [] like ["https://console.example"],
        /// Lets hooks be made by the API that run programs (`run`, `worker`), and so lets everybody with a token of the scope
        /// `hooks` do what the server's user may. Without it only `url` hooks are made so.
        allow_programs: bool = false,
        /// Networks that the URLs of hooks made by the API may lead to, besides public addresses: `["10.0.0.0/8"]`.
        allow_networks: Vec<ProxyNetwork> = [],
    }

    /// Notices on their way to hooks: kept on disk until each hook has them.
    pub struct EventsTable "events" {
        /// Keeps every notice in `data_dir` before it is delivered, so that neither a crash nor a hook that is away loses it.
        /// Without it notices are held in memory only, and numbers begin anew at each start.
        outbox: bool = true,
        /// When what is written is made safe from a power failure: `interval:20ms`, `always` (before it is delivered) or
        /// `off`. A crash of the server alone loses nothing that was delivered, whatever this is.
        fsync: FsyncWord = "interval:20ms",
        /// What is older goes, delivered or not.
        retain: Duration = "3d" in "1m" ..= "365d",
        /// The oldest goes while there is more on disk.
        retain_bytes: ByteSize = "4GiB" in 1048576 ..= 1099511627776,
        /// The newest are held in memory too; so much is kept of them while the disk is full.
        memory: ByteSize = "64MiB" in 1048576 ..= 17179869184,
        /// Where what is not written yet outlives the server, so that `kill -9` loses nothing: a folder of a file system in
        /// memory (tmpfs); `auto`, which is `$RUNTIME_DIRECTORY` or else `/dev/shm`; or `off`. A file of up to 8 MiB lies
        /// there while the server runs, and until it is started again after a kill.
        spare: SpareWord = "auto",
    }

    /// What became of deliveries and questions: kept on disk to be looked at, by the API and `jackfield explain`.
    pub struct DeliveriesTable "deliveries" {
        /// What is older goes.
        retain: Duration = "3d" in "1m" ..= "365d",
        /// The oldest goes while there is more on disk.
        retain_bytes: ByteSize = "1GiB" in 1048576 ..= 1099511627776,
    }

    /// What the server counts, for Prometheus and its like.
    pub struct MetricsTable "metrics" {
        /// Addresses that serve `/metrics` and nothing else, to everybody who reaches them. On the HTTP listener it is served
        /// too, to tokens of the scope `read`.
        listen: Vec<ListenAddr> = [] like ["127.0.0.1:9464"],
        /// With more streams than this, single streams have no metrics of their own.
        max_streams: usize = 100 in 0 ..= 10000,
    }

    /// What holds for all hooks.
    pub struct HooksTable "hooks" {
        /// Timeout of each notice.
        timeout: Duration = "30s" in "10ms" ..= "1h" flag "hook-timeout",
        /// Calls of notices to programs and webhooks in flight over all hooks.
        concurrency: usize = 10 in 1 ..= 10000 flag "hook-concurrency",
        /// Timeout of one hook of a question.
        question_timeout: Duration = "2s" in "10ms" ..= "5m",
        /// Time for all hooks of a question together, waiting included.
        question_budget: Duration = "5s" in "10ms" ..= "5m",
        /// Writes every notice to standard output: `json` (`RTMP_EVENT: {…}`), `ndjson` (`{…}`) or `env`.
        stdio_format: Option<StdioForm> = none like "json" flag "hook-stdio-format",
        /// Allows `http://` beyond this machine for all webhooks.
        plain_http: bool = false flag "hook-plain-http",
    }

    /// One hook: which events, who waits, and your code. Exactly one of `run`, `worker`, `url` and `stdio`.
    pub struct HookTable "hook" {
        /// Name in logs and counters; `hook-1`, … by position if absent.
        name: Option<String> = none like "auth",
        /// What makes it this hook over reloads and restarts, so that it can be renamed: its queue and its place in the log of
        /// events are kept by it. If absent, the name.
        id: Option<String> = none like "auth",
        /// Events; `*` stands for any part of a name. May be absent for `stdio` only: every notice.
        on: Option<Vec<EventNames>> = none like ["authorize_publish", "publish_*"],
        /// Globs of stream keys: `*` within a part, `**` across parts, `!` excludes, the last match wins;
        /// without a slash the app is `live`. Connection events have no stream and never match.
        streams: Vec<String> = [] like ["live/**", "!live/test"],
        /// `notify` or `decide`; if absent, questions are decided and notices notified.
        mode: Option<ModeWord> = none like "decide",
        /// A program for each event: a string is split into words as a shell would, without a shell.
        run: Option<Command> = none like "./notify.sh --verbose",
        /// A program that stays, one line of JSON in and one out.
        worker: Option<Command> = none like ["./auth-worker.py"],
        /// A webhook.
        url: Option<Url> = none like "https://example.org/hook",
        /// `stdout` or `stderr`.
        stdio: Option<StdioTarget> = none like "stdout",
        /// `stdio` only: `json`, `ndjson` or `env`.
        format: Option<StdioForm> = none like "ndjson",
        /// More arguments for `run` and `worker`.
        args: Vec<String> = [] like ["--verbose"],
        /// Variables for `run` and `worker`: `NAME` (a glob) passes on what is otherwise kept back, which is `JACKFIELD_…` and
        /// the variables that hold secrets of hooks (`env:NAME`); `NAME=value` sets.
        env: Vec<Variable> = [] like ["LANG=C.UTF-8"],
        /// Starts `run` and `worker` from an empty environment.
        env_clear: bool = false,
        /// Working directory of `run` and `worker`; `private` is a temporary one. If absent, the server's own.
        cwd: Option<String> = none like "private",
        /// User of `run` and `worker`.
        user: Option<String> = none like "nobody",
        /// `run` only: `event` or `none`.
        stdin: Option<StdinWord> = none like "none",
        /// Time for one call; if absent, `[hooks] timeout` for notices and `question_timeout` for questions.
        timeout: Option<Duration> = none like "10s" in "10ms" ..= "1h",
        /// Questions: what a failure means: `deny`, `allow` (`authorize_*`), `keep` or `value:KEY` (`resolve_*`).
        /// If absent, `deny`.
        on_error: Option<OnErrorWord> = none like "deny",
        /// Calls of this hook in flight.
        concurrency: usize = 10 in 1 ..= 10000,
        /// Calls per second at most.
        rate: Option<u32> = none like 100 in 1 ..= 1000000,
        /// Notices that wait in memory. When it is full, no more are taken from the log until there is room. With `stdio`, and
        /// with `[events] outbox = false`, the oldest goes, and the next one says how many went. If absent, 1000; with `stdio`
        /// 4096.
        queue: Option<usize> = none like 1000 in 1 ..= 1000000,
        /// How often a failed notice is tried again, before it becomes a dead letter. If absent, `run` only after exit code 75,
        /// others as often as `schedule` says.
        retries: Option<u32> = none like 3 in 0 ..= 1000,
        /// Pauses before each further try, up to a fifth longer or shorter; the last one repeats itself if there are more
        /// `retries`.
        schedule: Vec<Duration> = ["1s", "5s", "30s", "2m", "10m", "30m", "2h", "5h", "10h"],
        /// Where a hook begins in the log of events when it is new: `now`, `beginning`, or the time of the first event, as
        /// `2026-01-31T12:00:00Z`.
        from: StartWord = "now",
        /// Dead letters that are kept of this hook; the oldest goes.
        dead_letters: usize = 10000 in 0 ..= 1000000,
        /// `worker` only: processes that are always there.
        min: usize = 1 in 0 ..= 1000,
        /// `worker` only: processes at most; never fewer than `min`.
        max: usize = 4 in 1 ..= 1000,
        /// `worker` only: a process is replaced after so many.
        max_requests: Option<u64> = none like 10000 in 1 ..= 1000000000,
        /// `url` only: more headers; values may be `env:NAME` or `file:PATH`.
        headers: Headers = {} like { Authorization = "env:HOOK_TOKEN" },
        /// `url` only: key of the signature, `env:NAME` or `file:PATH`; a list while you rotate.
        secret: Vec<SigningSecret> = [] like ["env:HOOK_SECRET"],
        /// `url` only: PEM file of the authorities to trust instead of the public ones.
        ca: Option<PathBuf> = none like "ca.pem",
        /// `url` only: PEM file of the client certificate.
        cert: Option<PathBuf> = none like "client.pem",
        /// `url` only: PEM file of the client certificate's key.
        key: Option<PathBuf> = none like "client.key",
        /// `url` only: allows `http://` beyond this machine.
        plain_http: bool = false,
        /// Whether the hook is called at all.
        enabled: bool = true,
    }
}
