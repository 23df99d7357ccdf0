//! What a process writes, kept for the test that fails.

use crate::lock;
use std::io::Read;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What is kept; a process that writes more loses the rest.
const MAX_KEPT_BYTES: usize = 4 * 1024 * 1024;

/// Stdout and stderr of a child, read by threads as they come so that it never blocks on a full pipe.
pub(super) struct Output {
    text: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Output {
    /// Takes over both pipes of a child.
    pub(super) fn capture(child: &mut Child) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(copy(stdout, Arc::clone(&text)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(copy(stderr, Arc::clone(&text)));
        }
        Self { text, readers }
    }

    /// What has come so far.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.text)).into_owned()
    }

    /// Waits for the ends of the pipes: for a process that has ended.
    pub(super) fn finish(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

fn copy(mut pipe: impl Read + Send + 'static, text: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            let mut text = lock(&text);
            let room = MAX_KEPT_BYTES.saturating_sub(text.len()).min(count);
            text.extend_from_slice(buffer.get(..room).unwrap_or_default());
        }
    })
}
