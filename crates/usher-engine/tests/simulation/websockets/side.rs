//! One side of a WebSocket: what it says by itself, and what it answers.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};

use crate::message::{Framing, Reader};
use crate::net::WriteEnd;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;
/// The halves of a long message.
const HALVES: [[u8; 300]; 2] = [[b'a'; 300], [b'b'; 300]];
/// Bytes of the second half that are sent with the first.
const BEGUN: usize = 9;
/// As good as never.
const NEVER: Duration = Duration::from_secs(1 << 20);

/// What a side does beside reading and answering a Close.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Habit {
    Silent,
    /// Sends back each message.
    Echo,
    /// Sends a numbered message every so many milliseconds.
    Stream(u64),
    /// The same, and one more when it hears a Close.
    Talkative(u64),
    /// Sends the first half of a message at once, and the other after so many milliseconds.
    Slow(u64),
    Ping(u64),
    /// As [`Stream`](Self::Stream), and ends its connection when it hears a Close, without an answer.
    Leaves(u64),
    /// The same, but the connection is reset.
    Breaks(u64),
    /// Closes after so many milliseconds.
    Closes(u64),
    /// Answers nothing, not even a Close.
    Deaf,
    /// The same, and leaves a message incomplete: within a frame.
    Stuck,
    /// The same, between two frames.
    Between,
}

impl Habit {
    /// How long it waits between what it says by itself.
    fn pause(self) -> Duration {
        match self {
            Self::Stream(millis)
            | Self::Talkative(millis)
            | Self::Slow(millis)
            | Self::Ping(millis)
            | Self::Leaves(millis)
            | Self::Closes(millis)
            | Self::Breaks(millis) => Duration::from_millis(millis),
            Self::Silent | Self::Echo | Self::Deaf | Self::Stuck | Self::Between => NEVER,
        }
    }
}

/// What became of a side.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) messages: Vec<Vec<u8>>,
    pub(super) sent: Vec<Vec<u8>>,
    pub(super) close: Option<u16>,
    pub(super) closed_after: Duration,
}

/// One side, to the end of its connection. `begun` is what times are counted from.
pub(super) async fn side(
    (reader, writer): (Reader, WriteEnd),
    masks: bool,
    habit: Habit,
    begun: Instant,
) -> Heard {
    let heard = Heard::default();
    let mut side = Side { writer, masks, habit, begun, heard, message: Vec::new(), number: 0 };
    let mut frames = frames(reader, !masks);
    side.begin().await;
    let mut next = Instant::now() + habit.pause();
    loop {
        let goes_on = tokio::select! {
            got = frames.recv() => match got {
                Some((first, payload)) => side.hear(first, payload).await,
                None => false,
            },
            () = sleep_until(next) => {
                next += habit.pause();
                side.speak().await
            }
        };
        if !goes_on {
            return side.heard;
        }
    }
}

struct Side {
    writer: WriteEnd,
    masks: bool,
    habit: Habit,
    begun: Instant,
    heard: Heard,
    /// The fragments so far of the message that is being heard.
    message: Vec<u8>,
    /// How often it spoke by itself.
    number: usize,
}

impl Side {
    async fn write(&mut self, bytes: &[u8]) -> bool {
        self.writer.write(bytes).await.is_ok()
    }

    async fn write_frame(&mut self, first: u8, payload: &[u8]) -> bool {
        let bytes = frame(first, payload, self.masks);
        self.write(&bytes).await
    }

    /// A whole message.
    async fn send(&mut self, message: &[u8]) -> bool {
        self.heard.sent.push(message.to_vec());
        self.write_frame(FIN | TEXT, message).await
    }

    /// The first half of a message, from those that are not done with it at once.
    async fn begin(&mut self) {
        let second = frame(FIN, &HALVES[1], self.masks);
        let begun = match self.habit {
            Habit::Slow(_) | Habit::Stuck => BEGUN,
            Habit::Between => 0,
            _ => return,
        };
        self.heard.sent.push(HALVES.concat());
        let first = [&frame(TEXT, &HALVES[0], self.masks)[..], &second[..begun]].concat();
        assert!(self.write(&first).await, "it is taken");
    }

    /// The rest of it.
    async fn complete(&mut self) -> bool {
        let second = frame(FIN, &HALVES[1], self.masks);
        self.write(&second[BEGUN..]).await
    }

    /// What it says by itself; whether it goes on.
    async fn speak(&mut self) -> bool {
        self.number += 1;
        match self.habit {
            Habit::Stream(_) | Habit::Talkative(_) | Habit::Leaves(_) | Habit::Breaks(_) => {
                let message = self.number.to_string();
                self.send(message.as_bytes()).await
            }
            Habit::Slow(_) if self.number == 1 => self.complete().await,
            Habit::Closes(_) if self.number == 1 => self.write_frame(FIN | CLOSE, &[3, 232]).await,
            Habit::Ping(_) => self.write_frame(FIN | PING, b"").await,
            _ => true,
        }
    }

    /// What it does about a frame; whether it goes on.
    async fn hear(&mut self, first: u8, payload: Vec<u8>) -> bool {
        match first & 15 {
            CLOSE => return self.hear_close(&payload).await,
            PING | PONG => return true,
            _ => {}
        }
        assert!(self.heard.close.is_none(), "something follows the Close");
        self.message.extend(payload);
        if first & FIN != 0 {
            let message = std::mem::take(&mut self.message);
            if self.habit == Habit::Echo {
                self.send(&message).await;
            }
            self.heard.messages.push(message);
        }
        true
    }

    async fn hear_close(&mut self, payload: &[u8]) -> bool {
        assert!(self.heard.close.is_none(), "closed twice");
        self.heard.close = Some(u16::from_be_bytes([payload[0], payload[1]]));
        self.heard.closed_after = self.begun.elapsed();
        match self.habit {
            Habit::Deaf | Habit::Stuck | Habit::Between => return true,
            Habit::Closes(_) if self.number > 0 => return true,
            Habit::Leaves(_) => return false,
            Habit::Breaks(_) => {
                self.writer.abort();
                return false;
            }
            // A message is not broken off.
            Habit::Slow(_) if self.number == 0 => {
                self.number = 1;
                self.complete().await;
            }
            Habit::Talkative(_) => {
                self.send(b"last").await;
            }
            _ => {}
        }
        self.write_frame(FIN | CLOSE, payload).await;
        true
    }
}

fn frame(first: u8, payload: &[u8], mask: bool) -> Vec<u8> {
    let bit = if mask { 0x80 } else { 0 };
    let mut bytes = vec![first];
    if payload.len() < 126 {
        bytes.push(bit | payload.len() as u8);
    } else {
        bytes.push(bit | 126);
        bytes.extend((payload.len() as u16).to_be_bytes());
    }
    let key = [7, 1, 9, 200];
    if mask {
        bytes.extend(key);
        bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        bytes.extend(payload);
    }
    bytes
}

async fn exactly(reader: &mut Reader, len: usize) -> Option<Vec<u8>> {
    reader.body(Framing::Length(len)).await.ok().map(|(bytes, _)| bytes)
}

/// A frame, unmasked; none at the end. A side that is masked to hears nothing else, and the other way round.
async fn read_frame(reader: &mut Reader, masked: bool) -> Option<(u8, Vec<u8>)> {
    let head = exactly(reader, 2).await?;
    assert_eq!(head[1] & 0x80 != 0, masked, "masked: {masked}");
    let len = match head[1] & 0x7f {
        126 => {
            let len = exactly(reader, 2).await?;
            usize::from(u16::from_be_bytes([len[0], len[1]]))
        }
        127 => panic!("nobody sends such a long one"),
        short => usize::from(short),
    };
    let key = if masked { exactly(reader, 4).await? } else { vec![0; 4] };
    let payload = exactly(reader, len).await?;
    Some((head[0], payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()))
}

fn frames(mut reader: Reader, masked: bool) -> UnboundedReceiver<(u8, Vec<u8>)> {
    let (tell, heard) = unbounded_channel();
    spawn_local(async move {
        while let Some(frame) = read_frame(&mut reader, masked).await {
            if tell.send(frame).is_err() {
                return;
            }
        }
    });
    heard
}
