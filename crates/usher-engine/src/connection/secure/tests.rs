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

/// Of those who stand in line while memory is short, the first ones are ended; their time does not begin anew for it.
#[tokio::test(start_paused = true)]
async fn who_stands_in_line_can_be_ended() {
    let set = tokio::task::LocalSet::new();
    let table = Deadlines::new();
    set.spawn_local(table.clone().run());
    // Turns of which none ever comes.
    set.spawn_local(turns::tend(std::future::pending::<()>));
    set.run_until(async {
        tokio::task::yield_now().await;
        turns::spend(u64::MAX >> 1);
        let deadline = table.register();
        let (patience, pace) = (Duration::from_secs(10), deadline.pace());
        let standing = deadline.limit_client(patience, pace, wait_for_turn(&deadline, pace, patience));
        let ending = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            table.cut_slowest(1000, Duration::from_millis(500));
        };
        let both = async { tokio::join!(standing, ending).0 };
        let stood = tokio::time::timeout(Duration::from_secs(2), both).await.expect("it was ended");
        assert!(stood.is_err() && deadline.was_cut());
    })
    .await;
}
