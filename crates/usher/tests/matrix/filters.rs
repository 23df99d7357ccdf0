//! Features of routes work the same, whatever is spoken.

use usher_http::Framing;

use crate::client::Asked;
use crate::ground::{FILE, Pair};
use crate::hand::{Hand, Outcome, get, pattern, same};

crate::behaviours!(
    paths_and_fields_are_rewritten,
    password,
    rate_limit,
    redirect_and_response,
    files,
    requests_as_a_whole,
    bodies_over_the_limit,
);

async fn paths_and_fields_are_rewritten(pair: Pair) -> Outcome {
    let mut ask = pair.get("strip", &[("X-Gone", "1"), ("X-Set", "by the client")]).await?;
    let mut served = pair.served().await?;
    same("path", &served.request.path[..], "/x")?;
    same("set", served.field("x-set").as_deref(), Some("by usher"))?;
    same("removed", served.field("x-gone"), None)?;
    served.respond(200, &[("X-Gone", "1"), ("X-Set", "by the endpoint")], Framing::Length(0));
    served.done().await?;
    let (head, _) = ask.answer().await?;
    same("set", get(&head.fields, "x-set").as_deref(), Some("by usher"))?;
    same("removed", get(&head.fields, "x-gone"), None)
}

async fn password(pair: Pair) -> Outcome {
    // `ada:wunderbar`, and no password at all.
    for fields in [&[("Authorization", "Basic YWRhOnd1bmRlcmJhcg==")][..], &[]] {
        let (head, _) = pair.get("auth", fields).await?.answer().await?;
        same("status", head.status, 401)?;
        let challenge = get(&head.fields, "www-authenticate").unwrap_or_default();
        same("challenge", challenge.starts_with("Basic realm=\"Matrix\""), true)?;
    }
    pair.quiet()?;
    let mut ask = pair.get("auth", &[("Authorization", "Basic YWRhOmxvdmVsYWNl")]).await?;
    pair.served().await?.answer(b"welcome").await?;
    same("status", ask.answer().await?.0.status, 200)
}

async fn rate_limit(pair: Pair) -> Outcome {
    let mut ask = pair.get("rate", &[]).await?;
    pair.served().await?.answer(b"first").await?;
    same("status", ask.answer().await?.0.status, 200)?;
    let (head, body) = pair.get("rate", &[]).await?.answer().await?;
    same("status", head.status, 429)?;
    same("retry-after", get(&head.fields, "retry-after").is_some(), true)?;
    same("has a page", body.is_empty(), false)?;
    pair.quiet()
}

async fn redirect_and_response(pair: Pair) -> Outcome {
    let (head, _) = pair.get("moved", &[]).await?.answer().await?;
    same("redirect", (300..400).contains(&head.status), true)?;
    let place = format!("https://elsewhere.test{}", pair.path("moved"));
    same("location", get(&head.fields, "location"), Some(place))?;
    let (head, body) = pair.get("said", &[]).await?.answer().await?;
    same("status", head.status, 200)?;
    let said = format!("said by {}", pair.front.version().as_str());
    same("body", String::from_utf8_lossy(&body).into_owned(), said)?;
    let mut ask = pair.ask(Asked { prefix: "said", method: "HEAD", ..Asked::default() }).await?;
    ask.end().await?;
    let (head, body) = ask.answer().await?;
    same("body of HEAD", (head.status, body.len()), (200, 0))?;
    pair.quiet()
}

async fn files(pair: Pair) -> Outcome {
    let range = |asked: &'static str| [("Range", asked)];
    let length = FILE.len();
    let (head, body) = pair.get("files", &[]).await?.answer().await?;
    same("whole", (head.status, &body[..]), (200, FILE.as_bytes()))?;
    let tag = get(&head.fields, "etag").ok_or("no entity tag")?;
    let (head, body) = pair.get("files", &range("bytes=3-5")).await?.answer().await?;
    same("part", (head.status, &body[..]), (206, b"345"))?;
    let place = get(&head.fields, "content-range");
    same("content-range", place, Some(format!("bytes 3-5/{length}")))?;
    let (head, _) = pair.get("files", &range("bytes=100-")).await?.answer().await?;
    same("beyond the end", head.status, 416)?;
    let (head, body) = pair.get("files", &[("If-None-Match", &tag)]).await?.answer().await?;
    same("not modified", (head.status, body.len()), (304, 0))?;
    pair.quiet()
}

/// The endpoint hears nothing before all of it is there, and gets a length then.
async fn requests_as_a_whole(pair: Pair) -> Outcome {
    let sent = pattern(100_000);
    let asked = Asked { prefix: "whole", method: "POST", framing: Framing::Chunked, ..Asked::default() };
    let mut ask = pair.ask(asked).await?;
    ask.say(&sent[..10]).await?;
    // Whatever could come would have come before what is asked later.
    pair.works().await?;
    pair.quiet()?;
    ask.say(&sent[10..]).await?;
    ask.end().await?;
    let mut served = pair.served().await?;
    same("framing", served.facts.framing, Framing::Length(sent.len() as u64))?;
    served.hears_all(&sent).await?;
    served.answer(b"whole").await?;
    same("status", ask.answer().await?.0.status, 200)
}

async fn bodies_over_the_limit(pair: Pair) -> Outcome {
    let sent = pattern(200_000);
    // A length tells at once.
    let framing = Framing::Length(sent.len() as u64);
    let mut ask = pair.ask(small(framing)).await?;
    let head = ask.sends_until_head(&sent).await?;
    same("status", head.status, 413)?;
    ask.body().await?;
    drop(ask);
    pair.quiet()?;
    // Without one, the endpoint has had the beginning.
    let mut ask = pair.ask(small(Framing::Chunked)).await?;
    ask.say(&sent[..1024]).await?;
    let mut served = pair.served().await?;
    served.hears(&sent[..1024]).await?;
    let head = ask.sends_until_head(&sent[1024..]).await?;
    same("status", head.status, 413)?;
    ask.body().await?;
    served.hears_break().await?;
    drop((ask, served));
    // As much as is allowed passes.
    let mut ask = pair.ask(small(Framing::Chunked)).await?;
    ask.say(&sent[..1024]).await?;
    ask.end().await?;
    let mut served = pair.served().await?;
    served.hears_all(&sent[..1024]).await?;
    served.answer(b"small").await?;
    same("status", ask.answer().await?.0.status, 200)
}

fn small(framing: Framing) -> Asked<'static> {
    Asked { prefix: "small", method: "POST", framing, ..Asked::default() }
}
