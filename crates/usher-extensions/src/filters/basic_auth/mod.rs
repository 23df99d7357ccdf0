//! `basic_auth`: asks for a user name and a password (RFC 7617).
//!
//! A password hash is slow by design. So a password is compared on a thread of its own kind (see `workers.rs`) while
//! the exchange waits, and one that was right is remembered (see `memory.rs`): the next request with it costs two
//! short hashes and waits for nothing. Names that do not exist take as long to refuse as wrong passwords.

pub mod config;
pub mod credentials;
pub mod hash;
pub mod memory;
#[cfg(test)]
mod tests;
pub mod users;
pub mod workers;

use std::sync::Arc;

use tokio::sync::oneshot;
use usher_api::{BuildContext, DryRun, Exchange, Filter, FilterFactory, Flow, Phase, Reply, Resume};
use usher_config::{Decode, Node};
use usher_http::FieldId;

use self::credentials::Credentials;
use self::memory::Memory;
use self::users::Users;

/// The filter `basic_auth`.
pub const FACTORY: FilterFactory = FilterFactory {
    name: "basic_auth",
    phase: Phase::Authenticate,
    summary: "ask for a user name and a password",
    schema: config::BasicAuth::schema,
    build,
};

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Filter>> {
    let config = config::BasicAuth::decode(node, cx.config)?;
    let users = Users::read(&config, cx.config);
    if users.is_empty() {
        if config.users.is_empty() && config.file.is_empty() {
            cx.config.error_help(node.span, "`basic_auth` knows no users", "write `users` or `file`");
        } else if !cx.config.has_errors() {
            cx.config.warn(node.span, "`basic_auth` knows no users, so nobody comes in");
        }
    }
    // The memory is one for all routes: what it keeps holds the stored hash, so routes do not mix.
    let memory = cx.carry.keep("basic_auth".to_owned(), Memory::default);
    let realm = config.realm.replace('\\', "\\\\").replace('"', "\\\"");
    let rules =
        Rules { challenge: format!("Basic realm=\"{realm}\", charset=\"UTF-8\""), forward: config.forward };
    Some(Arc::new(BasicAuth { users: Arc::new(users), memory, rules: Arc::new(rules) }))
}

struct BasicAuth {
    users: Arc<Users>,
    memory: Arc<Memory>,
    rules: Arc<Rules>,
}

/// What to do with who is and who is not let in.
struct Rules {
    challenge: String,
    forward: bool,
}

impl Rules {
    fn accept(&self, user: String, exchange: &mut Exchange) -> Flow {
        if !self.forward {
            exchange.request.fields.remove(FieldId::Authorization);
        }
        exchange.user = Some(user);
        Flow::Continue
    }

    fn challenge(&self) -> Flow {
        let reply = Reply::new(401, "unauthenticated").field("WWW-Authenticate", self.challenge.as_str());
        Flow::Respond(Box::new(reply))
    }
}

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Right,
    Wrong,
    /// Too many wait, or the comparison broke off.
    Overloaded,
}

impl Filter for BasicAuth {
    fn on_request(&self, exchange: &mut Exchange) -> Flow {
        let Some(credentials) = read(exchange) else { return self.rules.challenge() };
        let known = self.users.get(&credentials.user);
        if let Some(hash) = known
            && self.memory.knows(self.memory.mark(&credentials, hash))
        {
            return self.rules.accept(credentials.user, exchange);
        }
        self.wait(credentials)
    }

    fn describe(&self) -> String {
        format!("{} user{}", self.users.len(), if self.users.len() == 1 { "" } else { "s" })
    }

    fn dry_run(&self, exchange: &mut Exchange) -> Option<DryRun> {
        let Some(credentials) = read(exchange) else {
            return Some(DryRun::responds(401, "the request has no user and password"));
        };
        if self.users.get(&credentials.user).is_none() {
            return Some(DryRun::responds(401, "there is no such user"));
        }
        let asks = format!("compare the password of `{}`, and pass if it is right", credentials.user);
        // What follows is shown as for a request that passed.
        let _ = self.rules.accept(credentials.user, exchange);
        Some(DryRun::asks(asks))
    }
}

impl BasicAuth {
    /// Compares on another thread.
    fn wait(&self, credentials: Credentials) -> Flow {
        let user = credentials.user.clone();
        let receiver = self.submit(credentials);
        let rules = self.rules.clone();
        Flow::Wait(Box::pin(async move {
            let answer = match receiver {
                Some(receiver) => receiver.await.unwrap_or(Answer::Overloaded),
                None => Answer::Overloaded,
            };
            let resume: Resume = Box::new(move |exchange| match answer {
                Answer::Right => rules.accept(user, exchange),
                Answer::Wrong => rules.challenge(),
                Answer::Overloaded => {
                    Flow::Respond(Box::new(Reply::new(503, "auth_overloaded").field("Retry-After", "1")))
                }
            });
            resume
        }))
    }

    /// None if too many comparisons wait.
    fn submit(&self, credentials: Credentials) -> Option<oneshot::Receiver<Answer>> {
        let (sender, receiver) = oneshot::channel();
        let (users, memory) = (self.users.clone(), self.memory.clone());
        let job = move || {
            // The client may have gone while this waited.
            if !sender.is_closed() {
                let _ = sender.send(compare(&users, &memory, &credentials));
            }
        };
        workers::submit(Box::new(job)).then_some(receiver)
    }
}

/// The slow part.
fn compare(users: &Users, memory: &Memory, credentials: &Credentials) -> Answer {
    let Some(hash) = users.get(&credentials.user) else {
        if let Some(hash) = users.stand_in(&credentials.user) {
            hash.verify(&credentials.password);
        }
        return Answer::Wrong;
    };
    let mark = memory.mark(credentials, hash);
    // A browser asks for many things at once; the first comparison serves those that waited behind it.
    if memory.knows(mark) {
        return Answer::Right;
    }
    if !hash.verify(&credentials.password) {
        return Answer::Wrong;
    }
    memory.remember(mark);
    Answer::Right
}

/// The credentials of a request; none if there are none, or more than one field claims to have them.
fn read(exchange: &Exchange) -> Option<Credentials> {
    let mut values = exchange.request.fields.all(FieldId::Authorization);
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    Credentials::parse(value)
}
