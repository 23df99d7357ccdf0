//! Many requests at once, on one connection where the protocol has that.

use std::rc::Rc;

use usher_http::Framing;

use crate::client::Asked;
use crate::ground::Pair;
use crate::hand::{Hand, Outcome, pattern, same, same_bytes};
use crate::served::Served;

crate::behaviours!(mixed);

const REQUESTS: usize = 50;

/// Bodies of all kinds, and every tenth client leaves in the middle of its own.
async fn mixed(pair: Pair) -> Outcome {
    let pair = Rc::new(pair);
    let serving = tokio::task::spawn_local(serve(pair.clone()));
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..REQUESTS {
        let pair = pair.clone();
        asking.spawn_local(async move {
            let asked = ask(&pair, number).await;
            asked.map_err(|error| format!("request {number}: {error}"))
        });
    }
    let mut wrong = Vec::new();
    while let Some(asked) = asking.join_next().await {
        wrong.extend(asked.map_err(|error| error.to_string()).and_then(|asked| asked).err());
    }
    serving.abort();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ").into()) }
}

/// Echoes whatever comes.
async fn serve(pair: Rc<Pair>) -> Result<(), String> {
    loop {
        let served = pair.served().await.map_err(|error| error.to_string())?;
        // A client that leaves ends it with an error.
        tokio::task::spawn_local(async { drop(echo(served).await) });
    }
}

async fn echo(mut served: Served) -> Result<(), String> {
    let body = served.body().await.map_err(|error| error.to_string())?;
    let length = Framing::Length(body.len() as u64);
    served.respond(200, &[], if body.len() % 2 == 0 { length } else { Framing::Chunked });
    let sent = served.say(&body).await;
    sent.map_err(|error| error.to_string())?;
    served.done().await.map_err(|error| error.to_string())
}

async fn ask(pair: &Pair, number: usize) -> Outcome {
    let body = pattern([0, 10, 1001, 16_384, 200_001][number % 5]);
    let framing = match number % 5 {
        0 => Framing::None,
        _ if number.is_multiple_of(2) => Framing::Length(body.len() as u64),
        _ => Framing::Chunked,
    };
    let method = if framing == Framing::None { "GET" } else { "POST" };
    let mut ask = pair.ask(Asked { method, framing, ..Asked::default() }).await?;
    if number % 10 == 9 {
        ask.say(&body[..body.len() / 2]).await?;
        ask.abort();
        return Ok(());
    }
    ask.say(&body).await?;
    ask.end().await?;
    let (head, heard) = ask.answer().await?;
    same("status", head.status, 200)?;
    same_bytes("echo", &heard, &body)
}
