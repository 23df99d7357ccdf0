//! Copies of requests: they have the body and its trailers, whatever the protocols are, and nobody waits for them.

use usher_http::Framing;

use crate::client::Asked;
use crate::ground::Pair;
use crate::hand::{Hand, Outcome, pattern, same, same_bytes};
use crate::served::Served;

crate::behaviours!(
    copies_are_whole,
    copies_of_what_is_changed,
    nobody_waits_for_a_copy,
    half_a_request_is_no_copy
);

/// More than is kept for a copy that takes nothing.
const BIG: usize = 3 << 20;

fn post(prefix: &str, framing: Framing) -> Asked<'_> {
    Asked { prefix, method: "POST", framing, ..Asked::default() }
}

/// The visitor's request and its copy, in whichever order they come.
async fn both(pair: &Pair) -> Outcome<(Served, Served)> {
    let (one, other) = (pair.served().await?, pair.served().await?);
    let is_copy = |served: &Served| served.request.fields.get_named(b"X-Usher-Mirror") == Some(&b"1"[..]);
    match (is_copy(&one), is_copy(&other)) {
        (false, true) => Ok((one, other)),
        (true, false) => Ok((other, one)),
        marked => Err(format!("of two requests these are copies: {marked:?}").into()),
    }
}

async fn copies_are_whole(pair: Pair) -> Outcome {
    for len in [0, 1, 70_000] {
        for framing in [Framing::Length(len as u64), Framing::Chunked] {
            let sent = pattern(len);
            let mut ask = pair.ask(post("mirrored", framing)).await?;
            let sending = async {
                ask.say(&sent).await?;
                match framing {
                    Framing::Chunked => ask.end_with(&[("X-Sum", "abc")]).await,
                    _ => ask.end().await,
                }
            };
            let receiving = async {
                let (mut visitors, mut copy) = both(&pair).await?;
                let fields = |served: &Served| {
                    let request = &served.request;
                    let all = request.fields.iter().map(|field| (field.name.to_vec(), field.value.to_vec()));
                    let all = all.filter(|(name, _)| !name.eq_ignore_ascii_case(b"x-usher-mirror"));
                    (request.authority.clone(), request.path.clone(), all.collect::<Vec<_>>())
                };
                same("head", fields(&copy), fields(&visitors))?;
                visitors.hears_all(&sent).await?;
                copy.hears_all(&sent).await?;
                if framing == Framing::Chunked {
                    same("trailer", visitors.trailer("x-sum").as_deref(), Some("abc"))?;
                    same("trailer of the copy", copy.trailer("x-sum").as_deref(), Some("abc"))?;
                }
                copy.answer(b"thrown away").await?;
                visitors.answer(b"heard").await
            };
            tokio::try_join!(sending, receiving)?;
            let (head, body) = ask.answer().await?;
            same("answer", (head.status, &body[..]), (200, &b"heard"[..]))?;
        }
    }
    Ok(())
}

/// A filter wants the whole body, and others change the head.
async fn copies_of_what_is_changed(pair: Pair) -> Outcome {
    let sent = pattern(50_000);
    let mut ask = pair.ask(post("mirrored-whole", Framing::Chunked)).await?;
    ask.say(&sent).await?;
    ask.end().await?;
    let (mut visitors, mut copy) = both(&pair).await?;
    for served in [&mut visitors, &mut copy] {
        same("field", served.request.fields.get_named(b"X-Set"), Some(&b"by usher"[..]))?;
        same("framing", served.facts.framing, Framing::Length(sent.len() as u64))?;
        served.hears_all(&sent).await?;
    }
    visitors.answer(b"heard").await?;
    same("status", ask.answer().await?.0.status, 200)?;
    copy.answer(b"thrown away").await
}

async fn nobody_waits_for_a_copy(pair: Pair) -> Outcome {
    let sent = vec![b'x'; BIG];
    let mut ask = pair.ask(post("mirrored", Framing::Length(BIG as u64))).await?;
    // What comes before there is a connection for the copy could be too much for its buffer.
    ask.say(&sent[..1000]).await?;
    let (mut visitors, copy) = both(&pair).await?;
    let sending = async {
        ask.say(&sent[1000..]).await?;
        ask.end().await
    };
    let receiving = async {
        visitors.hears_all(&sent).await?;
        visitors.answer(b"heard").await
    };
    tokio::try_join!(sending, receiving)?;
    let (head, body) = ask.answer().await?;
    same("answer", (head.status, &body[..]), (200, &b"heard"[..]))?;
    // Nobody has taken a byte of its body so far.
    drop(copy);
    Ok(())
}

/// A visitor who leaves amid the body takes the copy along.
async fn half_a_request_is_no_copy(pair: Pair) -> Outcome {
    let sent = pattern(1000);
    let mut ask = pair.ask(post("mirrored", Framing::Length(2000))).await?;
    ask.say(&sent).await?;
    let (mut visitors, mut copy) = both(&pair).await?;
    same_bytes("half of it", &copy.piece().await?, &sent)?;
    same_bytes("half of it", &visitors.piece().await?, &sent)?;
    drop(ask);
    visitors.left().await;
    copy.left().await;
    Ok(())
}
