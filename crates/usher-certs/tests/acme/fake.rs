//! A small CA of our own, over plain HTTP: it believes everything, and does what pebble cannot: renewal information
//! (RFC 9773), rate limits, and refusals on demand. It checks no signatures; pebble does.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair,
};
use serde_json::{Value, json};
use usher_certs::Authority;

/// What it was asked, and what it shall answer.
#[derive(Default)]
pub(crate) struct Script {
    /// Answers to new orders instead of the usual one: status, problem type, seconds of Retry-After.
    pub(crate) refusals: VecDeque<(u16, &'static str, Option<u32>)>,
    /// The renewal window, and seconds of Retry-After; none: no renewal information.
    pub(crate) window: Option<(String, String, u32)>,
    /// The payloads of new orders.
    pub(crate) orders: Vec<Value>,
    /// Identifiers that renewal information was asked for.
    pub(crate) asked: Vec<String>,
    /// Days that certificates live.
    pub(crate) days: u32,
    /// The state of an order that is asked for; none: `ready`, and `valid` once it is finalized.
    pub(crate) state: Option<&'static str>,
    /// The state of an order that is placed; none: `ready`.
    pub(crate) placed: Option<&'static str>,
    /// How often a question for an order is answered with an error of the server.
    pub(crate) trouble: u32,
    certificates: Vec<String>,
}

pub(crate) struct Fake {
    address: SocketAddr,
    pub(crate) script: Arc<Mutex<Script>>,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Script { days: 90, ..Script::default() }));
        let shared = script.clone();
        let signer = Arc::new(signer());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, signer) = (shared.clone(), signer.clone());
                thread::spawn(move || serve(stream, address, &script, &signer));
            }
        });
        Self { address, script }
    }

    pub(crate) fn authority(&self) -> Authority {
        Authority::named(&format!("http://{}/directory", self.address))
    }

    pub(crate) fn orders(&self) -> usize {
        self.script.lock().unwrap().orders.len()
    }
}

fn signer() -> Issuer<'static, KeyPair> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, "a CA that believes everything");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Issuer::new(parameters, KeyPair::generate().unwrap())
}

struct Answer {
    status: u16,
    fields: Vec<(&'static str, String)>,
    body: String,
}

impl Answer {
    fn json(status: u16, body: &Value) -> Self {
        Self { status, fields: Vec::new(), body: body.to_string() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
}

fn serve(stream: TcpStream, own: SocketAddr, script: &Mutex<Script>, signer: &Issuer<'static, KeyPair>) {
    let mut stream = BufReader::new(stream);
    while let Some((method, path, body)) = read(&mut stream) {
        let payload = serde_json::from_slice::<Value>(&body).unwrap_or_default()["payload"].clone();
        let payload = BASE64_URL_SAFE_NO_PAD.decode(payload.as_str().unwrap_or_default()).unwrap();
        let payload: Value = serde_json::from_slice(&payload).unwrap_or_default();
        let answer = answer(&path, &payload, (own, &mut script.lock().unwrap(), signer));
        let length = if method == "HEAD" { 0 } else { answer.body.len() };
        let mut text =
            format!("HTTP/1.1 {} X\r\nreplay-nonce: n\r\ncontent-length: {length}\r\n", answer.status);
        for (name, value) in &answer.fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        if method != "HEAD" {
            text.push_str(&answer.body);
        }
        if stream.get_mut().write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<(String, String, Vec<u8>)> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((method, path, body))
}

fn order(own: SocketAddr, number: usize, status: &str, replaces: &Value) -> Value {
    let mut order = json!({
        "status": status,
        "authorizations": [],
        "identifiers": [],
        "finalize": format!("http://{own}/finalize/{number}"),
        "certificate": format!("http://{own}/certificate/{number}"),
    });
    if !replaces.is_null() {
        order["replaces"] = replaces.clone();
    }
    order
}

fn answer(
    path: &str,
    payload: &Value,
    (own, script, signer): (SocketAddr, &mut Script, &Issuer<'static, KeyPair>),
) -> Answer {
    let (kind, number) =
        path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let replaces = |script: &Script| {
        script.orders.get(number.parse().unwrap_or(0)).map_or(Value::Null, |one| one["replaces"].clone())
    };
    match kind {
        "directory" => {
            let url = |what: &str| format!("http://{own}/{what}");
            let mut directory = json!({ "newNonce": url("nonce"), "newAccount": url("account"), "newOrder": url("new-order") });
            if script.window.is_some() {
                directory["renewalInfo"] = url("window").into();
            }
            Answer::json(200, &directory)
        }
        "account" => Answer::json(201, &json!({ "status": "valid" }))
            .with("location", format!("http://{own}/account/1")),
        "window" => {
            script.asked.push(number.to_owned());
            let (start, end, retry) = script.window.clone().unwrap();
            let window = json!({ "suggestedWindow": { "start": start, "end": end } });
            Answer::json(200, &window).with("retry-after", retry.to_string())
        }
        "new-order" => {
            script.orders.push(payload.clone());
            script.certificates.push(String::new());
            if let Some((status, kind, retry)) = script.refusals.pop_front() {
                let problem = json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": "as the test wants" });
                let answer = Answer::json(status, &problem);
                return match retry {
                    Some(seconds) => answer.with("retry-after", seconds.to_string()),
                    None => answer,
                };
            }
            let number = script.orders.len() - 1;
            let order = order(own, number, script.placed.unwrap_or("ready"), &payload["replaces"]);
            Answer::json(201, &order).with("location", format!("http://{own}/order/{number}"))
        }
        "order" if script.trouble > 0 => {
            script.trouble -= 1;
            Answer::json(
                500,
                &json!({ "type": "urn:ietf:params:acme:error:serverInternal", "detail": "trouble" }),
            )
        }
        "order" => {
            let number: usize = number.parse().unwrap();
            let signed = script.certificates.get(number).is_some_and(|pem| !pem.is_empty());
            let state = script.state.unwrap_or(if signed { "valid" } else { "ready" });
            Answer::json(200, &order(own, number, state, &replaces(script)))
        }
        "finalize" => {
            let csr = BASE64_URL_SAFE_NO_PAD.decode(payload["csr"].as_str().unwrap()).unwrap();
            let number: usize = number.parse().unwrap();
            script.certificates[number] = sign(csr, script.days, signer);
            Answer::json(200, &order(own, number, "valid", &replaces(script)))
        }
        "certificate" => {
            let pem = script.certificates[number.parse::<usize>().unwrap()].clone();
            Answer { status: 200, fields: Vec::new(), body: pem }
        }
        "nonce" => Answer::json(200, &Value::Null),
        _ => Answer::json(404, &json!({ "type": "about:blank" })),
    }
}

fn sign(csr: Vec<u8>, days: u32, signer: &Issuer<'static, KeyPair>) -> String {
    let mut request = CertificateSigningRequestParams::from_der(&csr.into()).unwrap();
    let now = std::time::SystemTime::now();
    request.params.not_before = now.into();
    request.params.not_after = (now + std::time::Duration::from_secs(86_400) * days).into();
    request.params.use_authority_key_identifier_extension = true;
    request.signed_by(signer).unwrap().pem()
}
