//! Crowds, of which some go on at once: as many as keep the passes of the loop short.

use std::future::poll_fn;

use super::{Kind, TURN, Turn, work};

/// What one of a crowd does, by how much could be moved meanwhile (bytes): it is woken, and looks what there is for it.
pub const WAKING: u64 = TURN / 16;
/// The same of one that only looks.
pub(crate) const LOOKING: u64 = TURN / 64;
/// The same of one that is accepted: no more of them than go on to ask for something.
pub const COMING: u64 = TURN / 4;
/// The same of one that is sent away.
pub const GOING: u64 = TURN / 8;

/// What a crowd may do in its turn, however much others did in it.
pub(super) const PART: u64 = TURN / 2;

/// Lets one of a crowd go on after the other: those who were just accepted, those who wait for memory, those who rested and
/// are spoken to. They take turns with large bodies and with handshakes, which are the other things that take long.
#[derive(Debug)]
pub struct Crowd {
    turn: Turn,
    /// What it may still do before it takes another turn (bytes).
    left: u64,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { turn: Turn { kind: Kind::Crowd, number: None }, left: 0 }
    }
}

impl Crowd {
    /// Waits until one more may go on, who does so much.
    pub async fn one_more(&mut self, bytes: u64) {
        if self.left == 0 {
            poll_fn(|cx| self.turn.poll(cx)).await;
            self.left = PART;
        }
        self.left = self.left.saturating_sub(bytes);
        work(bytes);
    }
}
