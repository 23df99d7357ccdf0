//! Where behaviours are tried: the proxy between a client and an endpoint.

use std::any::type_name_of_val;
use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use usher_http::Framing;
use usher_testkit::{Authority, Builder, Usher};
use usher_wire::Upstream;

use crate::client::{Ask, Asked, Clients};
use crate::config::{USERS, config};
use crate::endpoint::Endpoints;
use crate::hand::{Hand as _, Outcome, Step, same};
use crate::served::Served;
use crate::speech::{ALL, PAIRS, Speech};

/// How long a behaviour may take for one pair: generous, as many tests run at once.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is served from a file.
pub(crate) const FILE: &str = "0123456789abcdef";

/// The proxy, its client and its endpoints.
struct Ground {
    usher: Usher,
    endpoints: Endpoints,
    clients: Clients,
}

impl Ground {
    async fn start() -> Outcome<Self> {
        let authority = Authority::new("matrix")?;
        let (ca, leaf) = (authority.pem(), authority.server(&["localhost", "127.0.0.1"])?);
        let endpoints = Endpoints::start(&leaf).await?;
        let texts = [
            ("cert.pem", &leaf.cert[..]),
            ("key.pem", &leaf.key),
            ("ca.pem", &ca),
            ("users.htpasswd", USERS),
        ];
        let mut builder = texts.iter().fold(builder(), |builder, (name, text)| builder.file(name, text));
        for speech in ALL {
            builder = builder.file(&format!("files/files/{}/x", speech.name()), FILE);
        }
        let usher = builder.config(&config(&endpoints)).start()?;
        let clients = Clients::connect(usher.listener("front")?, usher.listener("plain")?, &ca).await?;
        Ok(Self { usher, endpoints, clients })
    }
}

fn builder() -> Builder {
    let built = || env!("CARGO_BIN_EXE_usher").into();
    Usher::builder().binary(std::env::var_os("USHER_BIN").map_or_else(built, PathBuf::from))
}

/// A protocol of clients with one of endpoints.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) front: Speech,
    pub(crate) back: Speech,
    ground: Rc<Ground>,
    arrivals: Rc<RefCell<UnboundedReceiver<Served>>>,
    step: Step,
}

impl Pair {
    fn new(ground: &Rc<Ground>, (front, back): (Speech, Speech)) -> Self {
        let arrivals = ground.endpoints.arrivals(&id(front, back));
        let (ground, arrivals) = (ground.clone(), Rc::new(RefCell::new(arrivals)));
        Self { front, back, ground, arrivals, step: Step::default() }
    }

    /// What its requests are known by.
    pub(crate) fn id(&self) -> String {
        id(self.front, self.back)
    }

    /// Where its requests go, on the route of this name.
    pub(crate) fn path(&self, prefix: &str) -> String {
        format!("/{prefix}/{}/x", self.back.name())
    }

    pub(crate) fn step(&self) -> &Step {
        &self.step
    }

    /// Begins a request: its head is queued.
    pub(crate) async fn ask(&self, asked: Asked<'_>) -> Outcome<Ask> {
        self.step.set("client", "connects");
        let up = self.ground.clients.open(self.front).await?;
        Ok(Ask::begin(self, up, &asked))
    }

    /// The same, on the connection of the last one if that carries one request at a time.
    pub(crate) async fn ask_again(&self, last: Box<dyn Upstream>, asked: Asked<'_>) -> Outcome<Ask> {
        if self.front.is_h1() {
            return Ok(Ask::begin(self, last, &asked));
        }
        self.ask(asked).await
    }

    /// A request without a body, sent.
    pub(crate) async fn get(&self, prefix: &str, fields: &[(&str, &str)]) -> Outcome<Ask> {
        let mut ask = self.ask(Asked { prefix, fields, ..Asked::default() }).await?;
        ask.end().await?;
        Ok(ask)
    }

    /// A POST whose head is queued.
    pub(crate) async fn post(&self, framing: Framing) -> Outcome<Ask> {
        self.ask(Asked { method: "POST", framing, ..Asked::default() }).await
    }

    /// Waits until the proxy has greeted the client.
    pub(crate) async fn greeted(&self) -> Outcome {
        self.step.set("client", "waits to be greeted");
        self.ground.clients.greeted(self.front).await
    }

    /// The next request that comes to the endpoint.
    pub(crate) async fn served(&self) -> Outcome<Served> {
        self.step.set("endpoint", "waits for a request");
        let next = std::future::poll_fn(|cx| self.arrivals.borrow_mut().poll_recv(cx)).await;
        Ok(next.ok_or("the endpoint has ended")?.follow(&self.step))
    }

    /// No request came to the endpoint that nobody expected.
    pub(crate) fn quiet(&self) -> Outcome {
        same("requests that nobody expected", self.arrivals.borrow().len(), 0)
    }

    /// Everything works for whoever comes next.
    pub(crate) async fn works(&self) -> Outcome {
        let mut ask = self.get("to", &[]).await?;
        self.served().await?.answer(b"works").await?;
        let (head, body) = ask.answer().await?;
        same("another request", (head.status, &body[..]), (200, &b"works"[..]))
    }

    /// The lines of the access log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.ground.usher.dir().join("access.log")).unwrap_or_default()
    }
}

fn id(front: Speech, back: Speech) -> String {
    format!("{}-{}", front.name(), back.name())
}

/// Tries a behaviour with all pairs at once.
pub(crate) fn every_pair<F: Future<Output = Outcome> + 'static>(behaviour: impl Fn(Pair) -> F) {
    let name = type_name_of_val(&behaviour);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
    runtime.unwrap().block_on(async {
        let ground = Rc::new(Ground::start().await.unwrap());
        let begin = |speeches| {
            let pair = Pair::new(&ground, speeches);
            let (id, step) = (pair.id(), pair.step.clone());
            let trying = tokio::time::timeout(PATIENCE, behaviour(pair));
            let task = async { trying.await.map(|outcome| outcome.map_err(|error| error.to_string())) };
            (id, step, tokio::task::spawn_local(task))
        };
        let tries: Vec<_> = PAIRS.into_iter().map(begin).collect();
        let mut failures = Vec::new();
        for (id, step, task) in tries {
            match task.await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(wrong))) => failures.push(format!("{id}: {wrong} (last step: {step})")),
                Ok(Err(_)) => failures.push(format!("{id}: nothing happens (last step: {step})")),
                Err(panicked) => failures.push(format!("{id}: {panicked}")),
            }
        }
        let output = ground.usher.output();
        assert!(!output.contains("panicked"), "{name}: usher panicked");
        assert!(failures.is_empty(), "{name} fails for\n{}", failures.join("\n"));
    });
}
