//! Tunnels: an upgrade of HTTP/1 or an extended CONNECT of the others (RFC 8441, 9220), on either side.

use usher_http::Framing;

use crate::client::{Ask, Asked};
use crate::ground::Pair;
use crate::hand::{Hand, Outcome, get, pattern, same, same_bytes};
use crate::served::Served;

crate::behaviours!(
    client_ends_first,
    endpoint_ends_first,
    many_bytes_both_ways,
    endpoint_refuses,
    bytes_behind_the_head,
);

/// The example of RFC 6455 section 1.3, and its answer.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A request to become a WebSocket, as the client's protocol makes it, and how it comes to the endpoint.
async fn begin(pair: &Pair) -> Outcome<(Ask, Served)> {
    pair.greeted().await?;
    let with_key = [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", KEY)];
    let fields = if pair.front.is_h1() { &with_key[..] } else { &with_key[..1] };
    let mut ask = pair.ask(Asked { fields, upgrade: Some("websocket"), ..Asked::default() }).await?;
    ask.say(b"").await?;
    let served = pair.served().await?;
    same("protocol asked for", &served.upgrade[..], "websocket")?;
    same("version asked for", served.field("sec-websocket-version").as_deref(), Some("13"))?;
    // Only HTTP/1 has keys.
    same("key", served.field("sec-websocket-key").is_some(), pair.back.is_h1())?;
    Ok((ask, served))
}

/// A tunnel that is open at both ends.
pub(crate) async fn open(pair: &Pair) -> Outcome<(Ask, Served)> {
    let (mut ask, mut served) = begin(pair).await?;
    let fields = [("Upgrade", "websocket"), ("Sec-WebSocket-Accept", ACCEPT)];
    served.respond(101, if pair.back.is_h1() { &fields } else { &fields[..1] }, Framing::None);
    served.end().await?;
    served.down.begin_tunnel();
    let head = ask.sees(101).await?;
    same("protocol", get(&head.fields, "upgrade").as_deref(), Some("websocket"))?;
    if pair.front.is_h1() {
        let told = get(&head.fields, "sec-websocket-accept");
        same("digest", told.as_deref(), Some(ACCEPT))?;
    }
    ask.up.begin_tunnel();
    served.say(b"welcome").await?;
    ask.hears(b"welcome").await?;
    ask.say(b"thanks").await?;
    served.hears(b"thanks").await?;
    Ok((ask, served))
}

async fn client_ends_first(pair: Pair) -> Outcome {
    let (mut ask, mut served) = open(&pair).await?;
    ask.say(b"bye").await?;
    ask.hang_up().await?;
    served.hears_all(b"bye").await?;
    // The other direction is open still.
    served.say(b"and one more").await?;
    ask.hears(b"and one more").await?;
    served.hang_up().await?;
    ask.hears_all(b"").await?;
    drop((ask, served));
    pair.works().await
}

async fn endpoint_ends_first(pair: Pair) -> Outcome {
    let (mut ask, mut served) = open(&pair).await?;
    served.say(b"bye").await?;
    served.hang_up().await?;
    ask.hears_all(b"bye").await?;
    ask.say(b"and one more").await?;
    served.hears(b"and one more").await?;
    ask.hang_up().await?;
    served.hears_all(b"").await?;
    drop((ask, served));
    pair.works().await
}

async fn many_bytes_both_ways(pair: Pair) -> Outcome {
    let (mut ask, mut served) = open(&pair).await?;
    let sent = pattern(1 << 20);
    let echoing = async {
        loop {
            let piece = served.piece().await?;
            if piece.is_empty() {
                return served.hang_up().await;
            }
            served.say(&piece).await?;
        }
    };
    let talking = async { ask.tunnels(&sent).await };
    let ((), heard) = tokio::try_join!(echoing, talking)?;
    same_bytes("echo", &heard, &sent)
}

async fn endpoint_refuses(pair: Pair) -> Outcome {
    let (mut ask, mut served) = begin(&pair).await?;
    served.respond(403, &[], Framing::Length(2));
    served.say(b"no").await?;
    served.end().await?;
    let (head, body) = ask.answer().await?;
    same("answer", (head.status, &body[..]), (403, &b"no"[..]))?;
    drop((ask, served));
    pair.works().await
}

/// The first bytes come together with the head that opens the tunnel.
async fn bytes_behind_the_head(pair: Pair) -> Outcome {
    let (mut ask, mut served) = begin(&pair).await?;
    let fields = [("Upgrade", "websocket"), ("Sec-WebSocket-Accept", ACCEPT)];
    served.respond(101, if pair.back.is_h1() { &fields } else { &fields[..1] }, Framing::None);
    served.down.begin_tunnel();
    served.say(b"at once").await?;
    ask.sees(101).await?;
    ask.up.begin_tunnel();
    ask.hears(b"at once").await?;
    served.hang_up().await?;
    ask.hears_all(b"").await?;
    ask.hang_up().await?;
    served.hears_all(b"").await
}
