//! `tcp`: connects, and perhaps says a word and listens for one.

pub mod config;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::sync::Arc;

use usher_api::{BuildContext, Probe, ProbeFactory, ProbeTarget, Probing, Unwell};
use usher_config::{Decode as _, Node};
use usher_net::tls::Secured;
use usher_net::{Stream, SystemDialer, Transport as _};

use super::way::{connect, of_io, send};

/// What is read of an answer in which a text is looked for (bytes).
const MAX_ANSWER: usize = 4 << 10;

/// The probe `tcp`.
pub static FACTORY: ProbeFactory =
    ProbeFactory { name: "tcp", summary: "connect", schema: config::Tcp::schema, build };

struct Tcp {
    send: Option<String>,
    expect: Option<String>,
}

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Probe>> {
    let config = config::Tcp::decode(node, cx.config)?;
    Some(Arc::new(Tcp { send: config.send, expect: config.expect.map(|text| text.value) }))
}

impl Probe for Tcp {
    fn ask<'a>(&'a self, target: &'a ProbeTarget, dialer: &'a SystemDialer) -> Probing<'a> {
        Box::pin(async move {
            let mut stream = connect(target, dialer).await?;
            if let Some(text) = &self.send {
                send(&mut stream, text.as_bytes()).await?;
            }
            if let Some(text) = &self.expect {
                listen(&mut stream, text.as_bytes()).await?;
            }
            stream.announce_end();
            Ok(())
        })
    }
}

async fn listen(stream: &mut Secured<Stream>, text: &[u8]) -> Result<(), Unwell> {
    let mut buffer = [0; MAX_ANSWER];
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match poll_fn(|cx| stream.poll_read(cx, room)).await.map_err(|error| of_io(&error))? {
            0 => break,
            len => filled += len,
        }
        if buffer.get(..filled).unwrap_or_default().windows(text.len()).any(|part| part == text) {
            return Ok(());
        }
    }
    Err(Unwell::new("it does not say what is expected"))
}
