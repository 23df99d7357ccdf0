//! Requests that are sent again: the next try gets what the one before got, and the client sees the last.

use usher_http::Framing;

use crate::client::Asked;
use crate::ground::Pair;
use crate::hand::{Hand, Outcome, pattern, same, same_bytes};

crate::behaviours!(
    after_a_break,
    after_a_status,
    after_a_break_within_a_response,
    while_the_body_comes,
    never_twice_what_was_not_kept,
);

/// More than one frame or segment, and less than is kept.
const SIZE: usize = 50_000;

fn post(framing: Framing) -> Asked<'static> {
    Asked { prefix: "again", method: "POST", framing, ..Asked::default() }
}

async fn after_a_break(pair: Pair) -> Outcome {
    for framing in [Framing::Length(SIZE as u64), Framing::Chunked] {
        let sent = pattern(SIZE);
        let mut ask = pair.ask(post(framing)).await?;
        let client = async {
            ask.say(&sent).await?;
            ask.end().await?;
            let (head, body) = ask.answer().await?;
            same("answer", (head.status, &body[..]), (200, &b"third"[..]))
        };
        let endpoint = async {
            for _ in 0..2 {
                let mut served = pair.served().await?;
                served.hears_all(&sent).await?;
                served.abort();
            }
            let mut served = pair.served().await?;
            served.hears_all(&sent).await?;
            served.answer(b"third").await
        };
        tokio::try_join!(client, endpoint)?;
        drop(ask);
        pair.works().await?;
    }
    pair.quiet()
}

async fn after_a_status(pair: Pair) -> Outcome {
    let mut ask = pair.get("again", &[]).await?;
    for _ in 0..2 {
        let mut served = pair.served().await?;
        served.respond(503, &[], Framing::Length(4));
        served.say(b"busy").await?;
        served.end().await?;
    }
    pair.served().await?.answer(b"third").await?;
    let (head, body) = ask.answer().await?;
    same("answer", (head.status, &body[..]), (200, &b"third"[..]))?;
    // The last one is passed on.
    let mut ask = pair.get("again", &[]).await?;
    for _ in 0..4 {
        let mut served = pair.served().await?;
        served.respond(503, &[], Framing::Chunked);
        served.say(b"busy").await?;
        served.end().await?;
    }
    let (head, body) = ask.answer().await?;
    same("the last answer", (head.status, &body[..]), (503, &b"busy"[..]))?;
    pair.works().await?;
    pair.quiet()
}

/// Where responses are taken in whole, the client sees the one that was; of a longer one, that it broke off.
async fn after_a_break_within_a_response(pair: Pair) -> Outcome {
    let sent = pattern(SIZE);
    for framing in [Framing::Length(SIZE as u64), Framing::Chunked] {
        let mut ask = pair.get("held", &[]).await?;
        for _ in 0..2 {
            let mut served = pair.served().await?;
            served.respond(200, &[], framing);
            served.say(&sent[..SIZE / 2]).await?;
            served.abort();
        }
        let mut served = pair.served().await?;
        served.respond(200, &[], framing);
        served.say(&sent).await?;
        served.end().await?;
        let (head, body) = ask.answer().await?;
        same("status", head.status, 200)?;
        same_bytes("the whole", &body, &sent)?;
        // Nobody reads on its connection any more.
        drop((ask, served));
        pair.works().await?;
    }
    let long = pattern(100_000);
    for framing in [Framing::Length(1 << 20), Framing::Chunked] {
        let mut ask = pair.get("held", &[]).await?;
        let mut served = pair.served().await?;
        served.respond(200, &[], framing);
        tokio::try_join!(served.say(&long), async {
            ask.sees(200).await?;
            ask.hears(&long).await
        })?;
        served.abort();
        ask.hears_break().await?;
        drop(ask);
        pair.works().await?;
    }
    pair.quiet()
}

/// The first endpoint breaks off in the middle; what the client sends then follows what was kept.
async fn while_the_body_comes(pair: Pair) -> Outcome {
    let sent = pattern(SIZE);
    let (first, rest) = sent.split_at(20_000);
    let mut ask = pair.ask(post(Framing::Chunked)).await?;
    ask.say(first).await?;
    let mut served = pair.served().await?;
    served.hears(first).await?;
    served.abort();
    let mut served = pair.served().await?;
    served.hears(first).await?;
    let (heard, ()) = tokio::try_join!(served.body(), async {
        ask.say(rest).await?;
        ask.end_with(&[("X-Last", "one")]).await
    })?;
    same_bytes("the rest", &heard, rest)?;
    served.answer(b"whole").await?;
    let (head, body) = ask.answer().await?;
    same("answer", (head.status, &body[..]), (200, &b"whole"[..]))?;
    pair.works().await?;
    pair.quiet()
}

async fn never_twice_what_was_not_kept(pair: Pair) -> Outcome {
    let sent = pattern(70_000);
    let mut ask = pair.ask(post(Framing::Chunked)).await?;
    let client = async {
        ask.say(&sent).await?;
        ask.end().await?;
        same("status", ask.answer().await?.0.status, 502)
    };
    let endpoint = async {
        let mut served = pair.served().await?;
        served.hears_all(&sent).await?;
        served.abort();
        Ok(())
    };
    tokio::try_join!(client, endpoint)?;
    drop(ask);
    pair.works().await?;
    pair.quiet()
}
