//! Endpoints that answer before they have the whole request.

use usher_http::Framing;

use crate::ground::Pair;
use crate::hand::{Hand, Outcome, pattern, same, same_bytes};

crate::behaviours!(answer_to_a_stalled_request, answer_to_a_big_request, big_answer_to_a_big_request);

const BIG: usize = 3 << 20;

/// The client waits for the answer with half of its body unsent.
async fn answer_to_a_stalled_request(pair: Pair) -> Outcome {
    for framing in [Framing::Length(1000), Framing::Chunked] {
        let mut ask = pair.post(framing).await?;
        ask.say(b"beginning").await?;
        let mut served = pair.served().await?;
        served.hears(b"beginning").await?;
        served.respond(413, &[], Framing::Length(8));
        served.say(b"too much").await?;
        served.end().await?;
        let (head, body) = ask.answer().await?;
        same("answer", (head.status, &body[..]), (413, &b"too much"[..]))?;
        drop((ask, served));
        pair.works().await?;
    }
    Ok(())
}

/// The client sends and sends until the answer comes.
async fn answer_to_a_big_request(pair: Pair) -> Outcome {
    for framing in [Framing::Length(BIG as u64), Framing::Chunked] {
        let sent = pattern(BIG);
        let mut ask = pair.post(framing).await?;
        let sending = async {
            let head = ask.sends_until_head(&sent).await?;
            Outcome::Ok((head.status, ask.body().await?))
        };
        let answering = async {
            let mut served = pair.served().await?;
            served.hears_beginning(&sent[..1000]).await?;
            served.respond(413, &[], Framing::Length(8));
            served.say(b"too much").await?;
            served.end().await?;
            Outcome::Ok(served)
        };
        let ((status, body), served) = tokio::try_join!(sending, answering)?;
        same("answer", (status, &body[..]), (413, &b"too much"[..]))?;
        drop((ask, served));
        pair.works().await?;
    }
    Ok(())
}

/// The answer is long too: neither must wait for the other.
async fn big_answer_to_a_big_request(pair: Pair) -> Outcome {
    let sent = pattern(BIG);
    let mut ask = pair.post(Framing::Chunked).await?;
    ask.say(&sent[..1000]).await?;
    let mut served = pair.served().await?;
    let answering = async {
        served.hears_beginning(&sent[..1000]).await?;
        served.respond(200, &[], Framing::Chunked);
        served.say(&sent).await?;
        served.end().await
    };
    let receiving = async {
        let head = ask.sends_until_head(&sent).await?;
        Outcome::Ok((head.status, ask.body().await?))
    };
    let ((), (status, body)) = tokio::try_join!(answering, receiving)?;
    same("status", status, 200)?;
    same_bytes("answer", &body, &sent)?;
    drop((ask, served));
    pair.works().await
}
