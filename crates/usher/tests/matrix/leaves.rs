//! Clients that break off: the endpoint learns of it, and others are served on.

use usher_http::Framing;

use crate::ground::Pair;
use crate::hand::{Hand, Outcome, pattern};

crate::behaviours!(
    while_it_sends,
    in_the_middle_of_a_big_upload,
    while_it_waits,
    while_it_receives,
    in_the_middle_of_a_big_download,
    within_a_tunnel,
    at_once,
);

async fn while_it_sends(pair: Pair) -> Outcome {
    for framing in [Framing::Length(1000), Framing::Chunked] {
        let mut ask = pair.post(framing).await?;
        ask.say(b"beginning").await?;
        let mut served = pair.served().await?;
        served.hears(b"beginning").await?;
        ask.abort();
        served.hears_break().await?;
        drop(served);
        pair.works().await?;
    }
    Ok(())
}

async fn in_the_middle_of_a_big_upload(pair: Pair) -> Outcome {
    for framing in [Framing::Length(10 << 20), Framing::Chunked] {
        let sent = pattern(1 << 20);
        let mut ask = pair.post(framing).await?;
        ask.say(b"beginning").await?;
        let mut served = pair.served().await?;
        served.hears(b"beginning").await?;
        let sending = async {
            ask.say(&sent).await?;
            ask.abort();
            Ok(())
        };
        let receiving = async { served.hears_break().await };
        tokio::try_join!(sending, receiving)?;
        pair.works().await?;
    }
    Ok(())
}

async fn while_it_waits(pair: Pair) -> Outcome {
    let ask = pair.get("to", &[]).await?;
    let served = pair.served().await?;
    ask.abort();
    served.left().await;
    pair.works().await?;
    let mut ask = pair.post(Framing::Length(4)).await?;
    ask.say(b"body").await?;
    ask.end().await?;
    let mut served = pair.served().await?;
    served.hears_all(b"body").await?;
    ask.abort();
    served.left().await;
    pair.works().await
}

/// The endpoint has nothing to send at that moment, so that nobody finds out by sending.
async fn while_it_receives(pair: Pair) -> Outcome {
    let mut ask = pair.get("to", &[]).await?;
    let mut served = pair.served().await?;
    served.respond(200, &[], Framing::Chunked);
    served.say(b"beginning").await?;
    ask.sees(200).await?;
    ask.hears(b"beginning").await?;
    ask.abort();
    served.left().await;
    pair.works().await
}

async fn in_the_middle_of_a_big_download(pair: Pair) -> Outcome {
    for framing in [Framing::Length(100 << 20), Framing::Chunked] {
        let sent = pattern(1 << 20);
        let mut ask = pair.get("to", &[]).await?;
        let mut served = pair.served().await?;
        served.respond(200, &[], framing);
        served.say(b"").await?;
        ask.sees(200).await?;
        let sending = async {
            while served.say(&sent).await.is_ok() {}
            Outcome::Ok(())
        };
        let leaving = async {
            ask.hears_beginning(&sent[..100_000]).await?;
            ask.abort();
            Outcome::Ok(())
        };
        tokio::try_join!(sending, leaving)?;
        drop(served);
        pair.works().await?;
    }
    Ok(())
}

async fn within_a_tunnel(pair: Pair) -> Outcome {
    pair.greeted().await?;
    let (ask, mut served) = crate::tunnels::open(&pair).await?;
    ask.abort();
    // Its end may come in order: a tunnel has no message to be complete.
    let _ = served.body().await;
    drop(served);
    pair.works().await
}

/// Before anything was answered, again and again: nothing is left behind that stops others.
async fn at_once(pair: Pair) -> Outcome {
    for _ in 0..10 {
        let ask = pair.get("to", &[]).await?;
        ask.abort();
    }
    // Some may have reached the endpoint, which is no matter.
    let mut ask = pair.get("to", &[("X-Last", "yes")]).await?;
    loop {
        let served = pair.served().await?;
        if served.field("x-last").is_some() {
            served.answer(b"works").await?;
            break;
        }
    }
    let (_, body) = ask.answer().await?;
    crate::hand::same_bytes("answer", &body, b"works")
}
