//! Bodies: of all sizes, both ways, at once and piece by piece, and their trailers.

use usher_http::Framing;

use crate::ground::Pair;
use crate::hand::{Hand, Outcome, pattern, same, same_bytes};

crate::behaviours!(
    requests_of_all_sizes,
    responses_of_all_sizes,
    both_directions_at_once,
    slow_request,
    slow_response,
    conversation,
    trailers_of_requests,
    trailers_of_responses,
    trailers_of_nothing,
);

const BIG: usize = 3 << 20;

async fn requests_of_all_sizes(pair: Pair) -> Outcome {
    for len in [0, 1, 1000, 70_000, BIG] {
        for framing in [Framing::Length(len as u64), Framing::Chunked] {
            let sent = pattern(len);
            let mut ask = pair.post(framing).await?;
            let sending = async {
                ask.say(&sent).await?;
                ask.end().await
            };
            let receiving = async {
                let mut served = pair.served().await?;
                if let (Framing::Length(1..), found) = (framing, served.facts.framing) {
                    same("framing", found, framing)?;
                }
                served.hears_all(&sent).await?;
                served.answer(b"heard").await
            };
            tokio::try_join!(sending, receiving)?;
            let (head, body) = ask.answer().await?;
            same("answer", (head.status, &body[..]), (200, &b"heard"[..]))?;
        }
    }
    Ok(())
}

async fn responses_of_all_sizes(pair: Pair) -> Outcome {
    for len in [0, 1, 1000, 70_000, BIG] {
        for framing in [Framing::Length(len as u64), Framing::Chunked] {
            let sent = pattern(len);
            let mut ask = pair.get("to", &[]).await?;
            let mut served = pair.served().await?;
            served.respond(200, &[], framing);
            let sending = async {
                served.say(&sent).await?;
                served.done().await
            };
            let receiving = async {
                ask.sees(200).await?;
                ask.hears_all(&sent).await
            };
            tokio::try_join!(sending, receiving)?;
        }
    }
    Ok(())
}

async fn both_directions_at_once(pair: Pair) -> Outcome {
    let sent = pattern(BIG);
    for framing in [Framing::Length(BIG as u64), Framing::Chunked] {
        let mut ask = pair.post(framing).await?;
        ask.say(b"").await?;
        let mut served = pair.served().await?;
        served.respond(200, &[], framing);
        let echoing = async {
            served.say(b"").await?;
            loop {
                let piece = served.piece().await?;
                served.say(&piece).await?;
                if piece.is_empty() {
                    return served.done().await;
                }
            }
        };
        let talking = async {
            ask.sees(200).await?;
            let heard = ask.talks(&sent).await?;
            same_bytes("echo", &heard, &sent)
        };
        tokio::try_join!(echoing, talking)?;
    }
    Ok(())
}

const PIECES: [&[u8]; 4] = [b"one", b"two", b"three", b"four"];
const WHOLE: u64 = 15;

/// Each piece arrives before the next is sent.
async fn slow_request(pair: Pair) -> Outcome {
    for framing in [Framing::Length(WHOLE), Framing::Chunked] {
        let mut ask = pair.post(framing).await?;
        ask.say(b"").await?;
        let mut served = pair.served().await?;
        for piece in PIECES {
            ask.say(piece).await?;
            served.hears(piece).await?;
        }
        ask.end().await?;
        served.hears_end().await?;
        served.answer(b"heard").await?;
        same("status", ask.answer().await?.0.status, 200)?;
    }
    Ok(())
}

async fn slow_response(pair: Pair) -> Outcome {
    for framing in [Framing::Length(WHOLE), Framing::Chunked] {
        let mut ask = pair.get("to", &[]).await?;
        let mut served = pair.served().await?;
        served.respond(200, &[], framing);
        served.say(b"").await?;
        ask.sees(200).await?;
        for piece in PIECES {
            served.say(piece).await?;
            ask.hears(piece).await?;
        }
        served.done().await?;
        ask.hears_end().await?;
    }
    Ok(())
}

/// The endpoint answers each piece before the next is sent: both bodies are on their way together.
async fn conversation(pair: Pair) -> Outcome {
    let mut ask = pair.post(Framing::Chunked).await?;
    ask.say(b"").await?;
    let mut served = pair.served().await?;
    served.respond(200, &[], Framing::Chunked);
    served.say(b"").await?;
    ask.sees(200).await?;
    for piece in PIECES {
        ask.say(piece).await?;
        served.hears(piece).await?;
        served.say(piece).await?;
        ask.hears(piece).await?;
    }
    ask.end().await?;
    served.hears_end().await?;
    served.say(b"last").await?;
    served.done().await?;
    ask.hears_all(b"last").await
}

async fn trailers_of_requests(pair: Pair) -> Outcome {
    let mut ask = pair.post(Framing::Chunked).await?;
    ask.say(b"body").await?;
    ask.end_with(&[("X-Sum", "abc"), ("X-Other", "def")]).await?;
    let mut served = pair.served().await?;
    served.hears_all(b"body").await?;
    same("a trailer", served.trailer("x-sum").as_deref(), Some("abc"))?;
    same("another", served.trailer("x-other").as_deref(), Some("def"))?;
    served.answer(b"thanks").await?;
    same("status", ask.answer().await?.0.status, 200)
}

async fn trailers_of_responses(pair: Pair) -> Outcome {
    for len in [4, 100_000] {
        let sent = pattern(len);
        let mut ask = pair.get("to", &[]).await?;
        let mut served = pair.served().await?;
        same("takes trailers", served.facts.takes_trailers, true)?;
        served.respond(200, &[], Framing::Chunked);
        served.say(&sent).await?;
        served.end_with(&[("X-Sum", "abc"), ("X-Other", "def")]).await?;
        served.give_back();
        ask.sees(200).await?;
        ask.hears_all(&sent).await?;
        same("a trailer", ask.trailer("x-sum").as_deref(), Some("abc"))?;
        same("another", ask.trailer("x-other").as_deref(), Some("def"))?;
    }
    Ok(())
}

/// Trailers of a body that is empty, both ways.
async fn trailers_of_nothing(pair: Pair) -> Outcome {
    let mut ask = pair.post(Framing::Chunked).await?;
    ask.end_with(&[("X-Sum", "nothing")]).await?;
    let mut served = pair.served().await?;
    served.hears_all(b"").await?;
    same("trailer of the request", served.trailer("x-sum").as_deref(), Some("nothing"))?;
    served.respond(200, &[], Framing::Chunked);
    served.end_with(&[("X-Sum", "nothing")]).await?;
    served.give_back();
    ask.sees(200).await?;
    ask.hears_all(b"").await?;
    same("trailer of the response", ask.trailer("x-sum").as_deref(), Some("nothing"))
}
