//! What reaches the log, for tests to look at.

use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// The log of this thread, while it is kept.
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>, #[expect(dead_code, reason = "held for its drop")] DefaultGuard);

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn start() -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let subscriber =
            tracing_subscriber::fmt().with_writer(Writer(Arc::clone(&text))).with_ansi(false).finish();
        Self(text, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Waits until the text stands in the log.
    pub(crate) async fn has(&self, text: &str) {
        self.has_times(text, 1).await;
    }

    /// Waits until the text stands there so many times.
    pub(crate) async fn has_times(&self, text: &str, times: usize) {
        while self.text().matches(text).count() < times {
            jackfield_runtime::clock::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Writer {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
