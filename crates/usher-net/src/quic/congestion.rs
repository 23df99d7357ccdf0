//! How much may be on the way to a peer.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};

/// What may be on the way at first (bytes; RFC 9002 section 7.2).
const INITIAL_WINDOW: u64 = 14_720;

/// Makes controllers: CUBIC (RFC 9438), which does not hold back the last packet of a connection.
pub(super) struct Congestion(Arc<CubicConfig>);

impl Congestion {
    /// `payload` is the size that packets may grow to (bytes). A probe of that size leaves room for as much beside it,
    /// or the first answers would wait until it is confirmed (RFC 9002 section 7.2).
    pub(super) fn new(payload: Option<u16>) -> Arc<Self> {
        let mut config = CubicConfig::default();
        config.initial_window(INITIAL_WINDOW.max(2 * u64::from(payload.unwrap_or_default())));
        Arc::new(Self(Arc::new(config)))
    }
}

impl ControllerFactory for Congestion {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let inner = Arc::clone(&self.0).build(now, current_mtu);
        Box::new(Cubic { inner, open: Arc::default() })
    }
}

/// Lets the packet out that says why the connection is closed, however full the path is. Of a closed connection nothing
/// is confirmed any more, and the protocol's library would hold that packet back until it forgets the connection.
pub(super) fn open(of: &quinn_proto::Connection) {
    if let Ok(cubic) = of.congestion_state().clone_box().into_any().downcast::<Cubic>() {
        cubic.open.store(true, Ordering::Relaxed);
    }
}

struct Cubic {
    inner: Box<dyn Controller>,
    /// Shared by the controller and its copies, which are all that one can get hold of.
    open: Arc<AtomicBool>,
}

impl Controller for Cubic {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.inner.on_congestion_event(now, sent, is_persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        if self.open.load(Ordering::Relaxed) { u64::MAX } else { self.inner.window() }
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), open: Arc::clone(&self.open) })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
