use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::oneshot;
use usher_api::certificates::OnDemand;

use super::*;
use crate::deadline::Deadlines;

/// Obtains one certificate, when it is told to.
struct Obtains(Mutex<Option<oneshot::Receiver<()>>>);

impl OnDemand for Obtains {
    fn want(&self, _: &str) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let told = self.0.lock().unwrap().take()?;
        Some(Box::pin(async { told.await.unwrap() }))
    }
}

/// Otherwise it would be among the first that are ended when memory is short.
#[test]
fn a_client_that_waits_for_its_certificate_is_not_slow() {
    let (table, trust) = (Deadlines::new(), Trust::default());
    let (tell, told) = oneshot::channel();
    assert!(trust.on_demand.set(Arc::new(Obtains(Mutex::new(Some(told))))).is_ok());
    let deadline = table.register();
    let cx = &mut Context::from_waker(Waker::noop());
    let obtaining = on_demand(&trust, &deadline, "a.test");
    let mut shaking = pin!(deadline.limit_client(Duration::from_secs(60), deadline.pace(), async {
        obtaining.await;
        std::future::pending::<()>().await;
    }));
    assert!(shaking.as_mut().poll(cx).is_pending() && deadline.waits_for() == Wait::Other);
    tell.send(()).unwrap();
    assert!(matches!(shaking.as_mut().poll(cx), Poll::Pending));
    assert!(matches!(deadline.waits_for(), Wait::Client(..)), "now it is the client's");
}
