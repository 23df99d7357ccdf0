//! Endpoints that break off: nobody takes what came for complete.

use usher_http::Framing;

use crate::ground::Pair;
use crate::hand::{Hand, Outcome, pattern, same};

crate::behaviours!(
    before_the_head,
    within_a_body,
    within_a_big_body,
    closes_within_a_body,
    within_a_request,
    within_a_tunnel,
);

async fn before_the_head(pair: Pair) -> Outcome {
    let mut ask = pair.post(Framing::Length(4)).await?;
    ask.say(b"body").await?;
    ask.end().await?;
    let mut served = pair.served().await?;
    served.hears_all(b"body").await?;
    served.abort();
    same("status", ask.answer().await?.0.status, 502)?;
    drop(ask);
    pair.works().await?;
    pair.quiet()
}

async fn within_a_body(pair: Pair) -> Outcome {
    for framing in [Framing::Length(1000), Framing::Chunked] {
        let mut ask = pair.get("to", &[]).await?;
        let mut served = pair.served().await?;
        served.respond(200, &[], framing);
        served.say(b"beginning").await?;
        ask.sees(200).await?;
        ask.hears(b"beginning").await?;
        served.abort();
        ask.hears_break().await?;
        drop(ask);
        pair.works().await?;
    }
    Ok(())
}

/// The client is behind when it happens.
async fn within_a_big_body(pair: Pair) -> Outcome {
    for framing in [Framing::Length(10 << 20), Framing::Chunked] {
        let sent = pattern(1 << 20);
        let mut ask = pair.get("to", &[]).await?;
        let mut served = pair.served().await?;
        served.respond(200, &[], framing);
        let sending = async {
            served.say(&sent).await?;
            served.abort();
            Ok(())
        };
        let receiving = async {
            // A reset of HTTP/3 may come before what was sent ahead of it.
            match ask.sees(200).await {
                Ok(_) => ask.hears_break().await,
                Err(_) => Ok(()),
            }
        };
        tokio::try_join!(sending, receiving)?;
        drop(ask);
        pair.works().await?;
    }
    Ok(())
}

/// An endpoint that closes its connection, or drops its stream, rather than to reset it.
async fn closes_within_a_body(pair: Pair) -> Outcome {
    for framing in [Framing::Length(1000), Framing::Chunked] {
        let mut ask = pair.get("to", &[]).await?;
        let mut served = pair.served().await?;
        served.respond(200, &[], framing);
        served.say(b"beginning").await?;
        ask.sees(200).await?;
        ask.hears(b"beginning").await?;
        drop(served);
        ask.hears_break().await?;
        drop(ask);
        pair.works().await?;
    }
    Ok(())
}

/// The client is still sending.
async fn within_a_request(pair: Pair) -> Outcome {
    let mut ask = pair.post(Framing::Chunked).await?;
    ask.say(b"beginning").await?;
    let mut served = pair.served().await?;
    served.hears(b"beginning").await?;
    served.abort();
    same("status", ask.answer().await?.0.status, 502)?;
    drop(ask);
    pair.works().await?;
    pair.quiet()
}

async fn within_a_tunnel(pair: Pair) -> Outcome {
    pair.greeted().await?;
    let (mut ask, served) = crate::tunnels::open(&pair).await?;
    served.abort();
    // Its end may come in order: a tunnel has no message to be complete.
    if let Ok(rest) = ask.body().await {
        same("bytes from nowhere", rest.len(), 0)?;
    }
    pair.works().await
}
