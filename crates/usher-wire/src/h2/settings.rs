//! SETTINGS (RFC 9113 section 6.5).

use super::Limits;
use super::core::{Core, Role};
use super::flood::Kind;
use super::frame::{self, Code, FrameHead, MAX_31, MAX_PAYLOAD, Wrong, flag, kind};
use super::stream::Interest;

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;
/// RFC 8441 section 3.
const ENABLE_CONNECT_PROTOCOL: u16 = 8;
/// RFC 9218 section 2.1.
const NO_RFC7540_PRIORITIES: u16 = 9;

/// The payload of SETTINGS that counts as one frame (bytes): more than all settings that there are.
const USUAL: usize = 96;

/// The window of a stream, and of the connection, as long as nobody says otherwise (bytes).
pub(super) const DEFAULT_WINDOW: u32 = 65_535;

/// What the other side allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// The window that its streams begin with (bytes).
    pub(super) initial_window: u32,
    /// Streams that may be opened.
    pub(super) max_streams: u32,
    /// It takes extended CONNECT.
    pub(super) connect_protocol: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { initial_window: DEFAULT_WINDOW, max_streams: u32::MAX, connect_protocol: false }
    }
}

/// Appends our settings, and the window of the connection.
pub(super) fn announce(role: Role, limits: &Limits, out: &mut Vec<u8>) {
    let mut payload = Vec::new();
    let mut push = |id: u16, value: u32| {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    };
    match role {
        Role::Server => {
            push(MAX_CONCURRENT_STREAMS, limits.max_streams);
            push(ENABLE_CONNECT_PROTOCOL, 1);
            push(NO_RFC7540_PRIORITIES, 1);
        }
        Role::Client => push(ENABLE_PUSH, 0),
    }
    push(INITIAL_WINDOW_SIZE, limits.stream_window.min(MAX_31));
    push(MAX_HEADER_LIST_SIZE, u32::try_from(limits.head.head).unwrap_or(u32::MAX));
    frame::push(out, kind::SETTINGS, 0, 0, &payload);
    if let Some(more @ 1..) = limits.connection_window.min(MAX_31).checked_sub(DEFAULT_WINDOW) {
        frame::push(out, kind::WINDOW_UPDATE, 0, 0, &more.to_be_bytes());
    }
}

impl Core {
    pub(super) fn on_settings(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Wrong> {
        if head.stream != 0 {
            return Err(Wrong::protocol("SETTINGS on a stream"));
        }
        // A frame of many costs as much as many frames.
        for _ in 0..=payload.len() / USUAL {
            self.flood.count(Kind::Settings)?;
        }
        if head.has(flag::ACK) {
            if !payload.is_empty() {
                return Err(Wrong::size("SETTINGS acknowledged with a payload"));
            }
            return Ok(());
        }
        let (settings, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return Err(Wrong::size("SETTINGS of a length that is no multiple of 6"));
        }
        for &[i1, i2, v1, v2, v3, v4] in settings {
            self.set(u16::from_be_bytes([i1, i2]), u32::from_be_bytes([v1, v2, v3, v4]))?;
        }
        frame::push(self.output.begin(), kind::SETTINGS, flag::ACK, 0, &[]);
        self.connect_deferred();
        Ok(())
    }

    fn set(&mut self, id: u16, value: u32) -> Result<(), Wrong> {
        match id {
            HEADER_TABLE_SIZE => self.encoder.set_limit(value),
            // Only 0 may come from a server (RFC 9113 section 6.5.2).
            ENABLE_PUSH if value > u32::from(self.role == Role::Server) => {
                return Err(Wrong::protocol("SETTINGS_ENABLE_PUSH that is not allowed"));
            }
            MAX_CONCURRENT_STREAMS => self.peer.max_streams = value,
            INITIAL_WINDOW_SIZE => self.set_initial_window(value)?,
            MAX_FRAME_SIZE if !(MAX_PAYLOAD as u32..=0xff_ffff).contains(&value) => {
                return Err(Wrong::protocol("SETTINGS_MAX_FRAME_SIZE out of range"));
            }
            ENABLE_CONNECT_PROTOCOL | NO_RFC7540_PRIORITIES if value > 1 => {
                return Err(Wrong::protocol("setting that is neither 0 nor 1"));
            }
            ENABLE_CONNECT_PROTOCOL if value == 0 && self.peer.connect_protocol => {
                return Err(Wrong::protocol("SETTINGS_ENABLE_CONNECT_PROTOCOL taken back"));
            }
            ENABLE_CONNECT_PROTOCOL => self.peer.connect_protocol = value == 1,
            // Unknown ones are ignored (RFC 9113 section 6.5.2).
            _ => {}
        }
        Ok(())
    }

    /// Changes the windows of all streams by the difference, which may make them negative (RFC 9113 section 6.9.2).
    fn set_initial_window(&mut self, value: u32) -> Result<(), Wrong> {
        if value > MAX_31 {
            return Err(Wrong::Connection(Code::FlowControl, "SETTINGS_INITIAL_WINDOW_SIZE out of range"));
        }
        let change = i64::from(value) - i64::from(self.peer.initial_window);
        self.peer.initial_window = value;
        for slot in self.streams.open_slots() {
            let Some(stream) = self.streams.get_mut(slot) else { continue };
            stream.send_window += change;
            if stream.send_window > i64::from(MAX_31) {
                return Err(Wrong::Connection(Code::FlowControl, "window of a stream overflows"));
            }
            if change > 0 && stream.send_window > 0 {
                self.notify(slot, Interest::WRITE);
            }
        }
        Ok(())
    }
}
