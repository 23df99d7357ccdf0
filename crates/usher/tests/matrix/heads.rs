//! Heads: what is asked, what is answered, and what comes before an answer.

use std::time::Duration;

use usher_http::{FieldId, Framing};

use crate::client::Asked;
use crate::ground::Pair;
use crate::hand::{Hand, Outcome, get, same};

crate::behaviours!(
    get_without_body,
    one_after_another,
    head_has_no_body,
    no_content_and_not_modified,
    hints_come_before_the_response,
    body_waits_for_continue,
    body_is_refused_before_continue,
    large_heads,
    cookies_stay_whole,
    half_close,
    refused_by_the_endpoint,
    log_says_the_version,
);

async fn get_without_body(pair: Pair) -> Outcome {
    let mut ask = pair.get("to", &[("X-Asked", "yes"), ("Connection", "x-hop"), ("X-Kept", "a, b")]).await?;
    let mut served = pair.served().await?;
    same("method", served.request.method.as_str(), "GET")?;
    same("version", served.request.version, pair.back.version())?;
    same("path", &served.request.path, &pair.path("to"))?;
    same("host", &served.request.authority[..], "localhost")?;
    same("framing", served.facts.framing, Framing::None)?;
    same("a field", served.field("x-asked").as_deref(), Some("yes"))?;
    same("another", served.field("x-kept").as_deref(), Some("a, b"))?;
    same("scheme", served.field("x-forwarded-proto").as_deref(), Some(pair.front.scheme()))?;
    served.hears_all(b"").await?;
    served.respond(200, &[("X-Answer", "yes")], Framing::Length(5));
    served.say(b"hello").await?;
    served.done().await?;
    let (head, body) = ask.answer().await?;
    same("version", head.version, pair.front.version())?;
    same("answer", (head.status, &body[..]), (200, &b"hello"[..]))?;
    same("a field", get(&head.fields, "x-answer").as_deref(), Some("yes"))?;
    same("length", get(&head.fields, "content-length").as_deref(), Some("5"))?;
    let via = format!("{} usher", pair.back.version().via());
    same("via", get(&head.fields, "via"), Some(via))
}

/// Connections are used again on both sides, whatever was sent on them.
async fn one_after_another(pair: Pair) -> Outcome {
    let mut last = None;
    for round in 0..6 {
        let framing = [Framing::None, Framing::Length(5), Framing::Chunked][round % 3];
        let method = if framing == Framing::None { "GET" } else { "PUT" };
        let asked = Asked { method, framing, ..Asked::default() };
        let mut ask = match last.take() {
            None => pair.ask(asked).await?,
            Some(up) => pair.ask_again(up, asked).await?,
        };
        if framing != Framing::None {
            ask.say(b"asked").await?;
        }
        ask.end().await?;
        let mut served = pair.served().await?;
        served.hears_all(if framing == Framing::None { b"" } else { b"asked" }).await?;
        served.respond(200, &[], [Framing::Length(6), Framing::Chunked][round % 2]);
        served.say(b"answer").await?;
        served.done().await?;
        let (head, body) = ask.answer().await?;
        same("answer", (head.status, &body[..]), (200, &b"answer"[..]))?;
        same("connection", get(&head.fields, "connection"), None)?;
        last = Some(ask.up);
    }
    Ok(())
}

async fn head_has_no_body(pair: Pair) -> Outcome {
    for length in ["0", "1234"] {
        let mut ask = pair.ask(Asked { method: "HEAD", ..Asked::default() }).await?;
        ask.end().await?;
        let mut served = pair.served().await?;
        same("method", served.request.method.as_str(), "HEAD")?;
        served.respond(200, &[("Content-Length", length)], Framing::None);
        served.done().await?;
        let (head, body) = ask.answer().await?;
        same("answer", (head.status, body.len()), (200, 0))?;
        same("length", get(&head.fields, "content-length").as_deref(), Some(length))?;
    }
    pair.works().await
}

async fn no_content_and_not_modified(pair: Pair) -> Outcome {
    for (status, fields) in
        [(204, &[][..]), (304, &[("ETag", "\"a\""), ("Content-Length", "10")]), (304, &[])]
    {
        let mut ask = pair.get("to", &[]).await?;
        let mut served = pair.served().await?;
        served.respond(status, fields, Framing::None);
        served.done().await?;
        let (head, body) = ask.answer().await?;
        same("answer", (head.status, body.len()), (status, 0))?;
        same("entity tag", get(&head.fields, "etag").is_some(), !fields.is_empty())?;
    }
    pair.works().await
}

async fn hints_come_before_the_response(pair: Pair) -> Outcome {
    let mut ask = pair.get("to", &[]).await?;
    let mut served = pair.served().await?;
    // Each is seen before the next is sent.
    for link in ["</a.css>; rel=preload", "</b.css>; rel=preload"] {
        served.inform(103, &[("Link", link)]).await?;
        let hints = ask.sees(103).await?;
        same("link", get(&hints.fields, "link").as_deref(), Some(link))?;
    }
    served.answer(b"late").await?;
    let (head, body) = ask.answer().await?;
    same("answer", (head.status, &body[..]), (200, &b"late"[..]))?;
    same("link", get(&head.fields, "link"), None)
}

const EXPECTS: [(&str, &str); 1] = [("Expect", "100-continue")];

async fn body_waits_for_continue(pair: Pair) -> Outcome {
    for framing in [Framing::Length(4), Framing::Chunked] {
        let asked = Asked { method: "PUT", framing, fields: &EXPECTS, ..Asked::default() };
        let mut ask = pair.ask(asked).await?;
        ask.say(b"").await?;
        let mut served = pair.served().await?;
        same("expectation", served.facts.expects_continue, true)?;
        served.inform(100, &[]).await?;
        ask.sees(100).await?;
        ask.say(b"body").await?;
        ask.end().await?;
        served.hears_all(b"body").await?;
        served.answer(b"thanks").await?;
        same("status", ask.answer().await?.0.status, 200)?;
    }
    Ok(())
}

async fn body_is_refused_before_continue(pair: Pair) -> Outcome {
    let framing = Framing::Length(4);
    let mut ask = pair.ask(Asked { method: "PUT", framing, fields: &EXPECTS, ..Asked::default() }).await?;
    ask.say(b"").await?;
    let mut served = pair.served().await?;
    served.respond(417, &[], Framing::Length(2));
    served.say(b"no").await?;
    served.end().await?;
    let (head, body) = ask.answer().await?;
    same("answer", (head.status, &body[..]), (417, &b"no"[..]))?;
    drop((ask, served));
    pair.works().await
}

async fn large_heads(pair: Pair) -> Outcome {
    // Both as one large value, which goes over the frames' usual size, and as many small ones.
    for (fields, size) in [(1, 20_000), (80, 250)] {
        let value = |at: usize| char::from(b'a' + (at % 26) as u8).to_string().repeat(size);
        let names: Vec<String> = (0..fields).map(|at| format!("x-large-{at}")).collect();
        let values: Vec<String> = (0..fields).map(value).collect();
        let pairs: Vec<(&str, &str)> =
            names.iter().zip(&values).map(|(name, value)| (&name[..], &value[..])).collect();
        let mut ask = pair.get("to", &pairs).await?;
        let mut served = pair.served().await?;
        for (name, value) in &pairs {
            same(name, served.field(name).as_deref() == Some(value), true)?;
        }
        served.respond(200, &pairs, Framing::Length(2));
        served.say(b"ok").await?;
        served.done().await?;
        let (head, body) = ask.answer().await?;
        same("body", &body[..], b"ok")?;
        for (name, value) in &pairs {
            same(name, get(&head.fields, name).as_deref() == Some(value), true)?;
        }
    }
    Ok(())
}

/// HTTP/2 and 3 may cut them to crumbs on the way (RFC 9113 section 8.2.3); several Set-Cookie stay several.
async fn cookies_stay_whole(pair: Pair) -> Outcome {
    let mut ask = pair.get("to", &[("Cookie", "a=1; b=2; c=3")]).await?;
    let mut served = pair.served().await?;
    same("cookie", served.field("cookie").as_deref(), Some("a=1; b=2; c=3"))?;
    served.respond(200, &[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], Framing::Length(0));
    served.done().await?;
    let (head, _) = ask.answer().await?;
    let set: Vec<&[u8]> = head.fields.all(FieldId::SetCookie).collect();
    same("cookies that are set", set, vec![&b"a=1"[..], b"b=2"])
}

/// A client that ends its direction still gets its response.
async fn half_close(pair: Pair) -> Outcome {
    let mut ask = pair.post(Framing::Length(4)).await?;
    ask.say(b"body").await?;
    ask.end().await?;
    ask.hang_up().await?;
    let mut served = pair.served().await?;
    served.hears_all(b"body").await?;
    served.respond(200, &[], Framing::Chunked);
    served.say(b"in ").await?;
    ask.sees(200).await?;
    ask.hears(b"in ").await?;
    served.say(b"time").await?;
    served.done().await?;
    ask.hears_all(b"time").await?;
    drop(ask);
    pair.works().await
}

async fn refused_by_the_endpoint(pair: Pair) -> Outcome {
    let mut ask = pair.get("refused", &[]).await?;
    same("status", ask.answer().await?.0.status, 502)?;
    let framing = Framing::Length(4);
    let asked = Asked { prefix: "refused", method: "POST", framing, ..Asked::default() };
    let mut ask = pair.ask(asked).await?;
    ask.say(b"body").await?;
    ask.end().await?;
    same("status", ask.answer().await?.0.status, 502)?;
    pair.works().await
}

async fn log_says_the_version(pair: Pair) -> Outcome {
    let agent = format!("client of {}", pair.id());
    let mut ask = pair.get("to", &[("User-Agent", &agent)]).await?;
    pair.served().await?.answer(b"logged").await?;
    same("status", ask.answer().await?.0.status, 200)?;
    drop(ask);
    pair.step().set("client", "waits for a line of the access log");
    loop {
        let log = pair.log();
        if let Some(line) = log.lines().find(|line| line.contains(&format!("{agent}\""))) {
            let line: serde_json::Value = serde_json::from_str(line)?;
            same("version", line["version"].as_str(), Some(pair.front.version().as_str()))?;
            same("cluster", line["cluster"].as_str(), Some(pair.back.name()))?;
            return same("status", line["status"].as_u64(), Some(200));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
