//! Extended CONNECT of a client (RFC 8441): it may only be sent to a server that has said that it takes it, so the first
//! requests of a connection wait for its settings.

use super::core::{Core, Role};
use super::stream::{Fault, Interest};

/// A request that waits for the server's settings.
#[derive(Debug)]
pub(super) struct Deferred {
    slot: u32,
    fields: Vec<Field>,
}

/// A name and a value.
type Field = (Box<[u8]>, Box<[u8]>);

impl Deferred {
    pub(super) fn new(slot: u32) -> Self {
        Self { slot, fields: Vec::new() }
    }

    pub(super) fn push(&mut self, name: &[u8], value: &[u8]) {
        self.fields.push((name.into(), value.into()));
    }
}

impl Core {
    /// Sends an extended CONNECT, now or when the server's settings have come. There are no more of those that wait than
    /// streams.
    pub(super) fn connect(&mut self, request: Deferred) {
        if !self.greeted {
            return self.deferred.push(request);
        }
        let Deferred { slot, fields } = request;
        if !self.peer.connect_protocol {
            if let Some(stream) = self.streams.get_mut(slot) {
                stream.fault = Some(Fault::Protocol("extended CONNECT is not taken"));
            }
        } else if self.number(slot).is_some() {
            self.push_head(slot, false, |encoder, out| {
                fields.iter().for_each(|(name, value)| encoder.field(name, value, out));
            });
        }
    }

    /// The server's first settings have come.
    pub(super) fn connect_deferred(&mut self) {
        if self.role == Role::Server {
            return;
        }
        for request in std::mem::take(&mut self.deferred) {
            let slot = request.slot;
            self.connect(request);
            self.notify(slot, Interest::ALL);
        }
    }

    /// A stream is given up.
    pub(super) fn forget_deferred(&mut self, slot: u32) {
        self.deferred.retain(|request| request.slot != slot);
    }
}
