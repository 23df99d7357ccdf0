//! An order, from its placing to the certificate (RFC 8555 section 7.4).
//!
//! What a killed process leaves behind is in the certificate's meta.json: the next attempt goes on where it was, or gives
//! the order up.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    AuthorizationStatus, ChallengeHandle, ChallengeType, Error, Identifier, NewOrder, OrderStatus,
    RetryPolicy,
};
use usher_net::tls::Certificate;

use super::account::{self, Session};
use super::challenge::{Answers, Question};
use super::explain::{self, Failure, FailureKind};
use super::{Surroundings, limits, steady, window};
use crate::http::HttpError;
use crate::options::{Authority, ChallengeKind, Level, Options};
use crate::plan::{Target, has_dns};
use crate::storage::{Meta, PendingOrder, remember};

/// How long a CA may take to look at the answers, and to sign.
pub(super) const POLL: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));

/// An order of a certificate.
pub(crate) struct Order<'a> {
    pub(crate) around: &'a Surroundings,
    pub(crate) options: &'a Options,
    pub(crate) authority: &'a Authority,
    pub(crate) target: &'a Target,
    /// Written to storage whenever it changes.
    pub(crate) meta: &'a mut Meta,
    /// The certificate that it replaces.
    pub(crate) before: Option<Arc<Certificate>>,
}

fn kind_of(kind: ChallengeKind) -> ChallengeType {
    match kind {
        ChallengeKind::Http01 => ChallengeType::Http01,
        ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
        ChallengeKind::Dns01 => ChallengeType::Dns01,
    }
}

impl Order<'_> {
    /// Obtains the certificate and keeps it.
    pub(crate) async fn run(&mut self) -> Result<Arc<Certificate>, Failure> {
        let kinds = self.challenges()?;
        let session = account::open(self.around, self.authority, self.options.email.as_deref()).await?;
        let result = self.run_with(&session, &kinds).await;
        if let Err(failure) = &result {
            match failure.kind {
                FailureKind::AccountLost => account::lost(self.around, &session),
                FailureKind::Unavailable => self.around.directories.forget(self.authority.url()),
                _ => {}
            }
        }
        result
    }

    /// The challenges that can be tried, the one that worked last first.
    fn challenges(&self) -> Result<Vec<ChallengeKind>, Failure> {
        let mut kinds = self.options.challenges.clone();
        kinds.retain(|kind| match kind {
            ChallengeKind::Dns01 => has_dns(self.options),
            _ => !self.target.has_wildcard(),
        });
        kinds.sort_by_key(|kind| self.meta.challenge.as_deref() != Some(kind.as_str()));
        if kinds.is_empty() {
            let why = if self.target.has_wildcard() {
                "a wildcard needs DNS-01: say how the records are written (`dns`)"
            } else {
                "no challenge is allowed"
            };
            return Err(Failure::local(why));
        }
        Ok(kinds)
    }

    async fn run_with(
        &mut self,
        session: &Session,
        kinds: &[ChallengeKind],
    ) -> Result<Arc<Certificate>, Failure> {
        self.clean_up().await?;
        let mut resumed = self.resume(session).await?;
        let mut last = Failure::local("no challenge is allowed");
        for kind in kinds {
            let mut order = match resumed.take() {
                Some(order) => order,
                None => self.place(session).await?,
            };
            match self.authorize(session, &mut order, *kind).await {
                Ok(()) => {
                    self.meta.challenge = Some(kind.as_str().to_owned());
                    return self.finalize(session, order).await;
                }
                Err(failure) if matches!(failure.kind, FailureKind::Validation(_)) => {
                    self.options.log.write(Level::Warn, &failure.sentence);
                    self.meta.last_error = Some(failure.sentence.clone());
                    self.give_up(order).await?;
                    last = failure;
                }
                Err(failure) if failure.kind == FailureKind::NotOffered => {
                    // Nothing was looked at: the order is as good for the next challenge.
                    resumed = Some(order);
                    last = failure;
                }
                Err(failure) => return Err(failure),
            }
        }
        if let Some(order) = resumed {
            self.give_up(order).await?;
        }
        Err(last)
    }

    fn save(&self) -> Result<(), Failure> {
        let saved = self.around.storage.save_meta(&self.target.id, self.meta);
        saved.map_err(|error| Failure::local(error.to_string()))
    }

    /// Removes records that an earlier run has left, or could not remove. The first one that still cannot be removed is the last
    /// one that is tried, and the last one next time.
    async fn clean_up(&mut self) -> Result<(), Failure> {
        if !has_dns(self.options) {
            // Nobody is left who could.
            self.meta.records.clear();
        }
        while let Some(record) = self.meta.records.pop() {
            let left = Answers::adopting(self.around, self.options, record).take_back().await;
            let has_failed = !left.is_empty();
            self.meta.records.splice(0..0, left);
            self.save()?;
            if has_failed {
                break;
            }
        }
        Ok(())
    }

    /// The order of an earlier run, if it can still lead to a certificate.
    async fn resume(&mut self, session: &Session) -> Result<Option<instant_acme::Order>, Failure> {
        let Some(pending) = self.meta.order.clone() else { return Ok(None) };
        let mine = pending.authority == self.authority.url() && pending.names == self.target.names;
        if mine {
            match steady!(session.account.order(pending.url.clone())) {
                Ok(mut order) => {
                    let status = order.state().status;
                    if status == OrderStatus::Invalid {
                        // Whoever placed it was killed before it was noted: it counts all the same.
                        remember(&mut self.meta.failed_validations, self.options.clock.now());
                    }
                    if self.can_go_on(status) {
                        let line =
                            format!("certificate `{}`: going on with an earlier order", self.target.source());
                        self.options.log.write(Level::Info, &line);
                        return Ok(Some(order));
                    }
                }
                Err(error) if explain::is_unknown(&error) => {}
                Err(error) => return Err(session.failure("find an earlier order", &error)),
            }
        }
        self.forget()?;
        Ok(None)
    }

    /// After it was finalized, an order is only good with its key.
    fn can_go_on(&self, status: OrderStatus) -> bool {
        match status {
            OrderStatus::Pending | OrderStatus::Ready => true,
            OrderStatus::Processing | OrderStatus::Valid => {
                matches!(self.around.storage.pending_key(&self.target.id), Ok(Some(_)))
            }
            OrderStatus::Invalid => false,
        }
    }

    pub(super) fn forget(&mut self) -> Result<(), Failure> {
        self.meta.order = None;
        self.save()?;
        let dropped = self.around.storage.drop_pending_key(&self.target.id);
        dropped.map_err(|error| Failure::local(error.to_string()))
    }

    /// Places a new order, within our own limits.
    async fn place(&mut self, session: &Session) -> Result<instant_acme::Order, Failure> {
        let now = self.options.clock.now();
        limits::check_certificate(self.meta, now)?;
        let is_new = self.target.on_demand && self.before.is_none();
        limits::count_order(&self.around.storage, &session.folder, is_new, now)?;
        // Written first: without storage there must be no order.
        self.save()?;
        let order = self.new_order(session).await?;
        self.meta.order = Some(PendingOrder {
            url: order.url().to_owned(),
            authority: self.authority.url().to_owned(),
            names: self.target.names.clone(),
        });
        self.save()?;
        Ok(order)
    }

    async fn new_order(&self, session: &Session) -> Result<instant_acme::Order, Failure> {
        let identifiers: Vec<Identifier> = self.target.names.iter().map(|name| identifier(name)).collect();
        let mut new = NewOrder::new(&identifiers);
        if let Some(profile) = &self.authority.profile {
            new = new.profile(profile);
        }
        // Only a CA that gave a window knows what `replaces` is (RFC 9773 section 5).
        let same_authority = self.meta.window.is_some() && self.meta.authority == self.authority.url();
        let before = self.before.as_deref().filter(|_| same_authority).and_then(window::identifier);
        if let Some(before) = before {
            let mut replacing = NewOrder::new(&identifiers).replaces(before);
            if let Some(profile) = &self.authority.profile {
                replacing = replacing.profile(profile);
            }
            match steady!(session.account.new_order(&replacing)) {
                Ok(order) => return Ok(order),
                // It was replaced already, or the CA thinks otherwise about it: then an order like any other.
                Err(error) if explain::is_unknown(&error) || is_strange(&error) => {}
                Err(error) => return Err(session.failure("order a certificate", &error)),
            }
        }
        let placed = steady!(session.account.new_order(&new));
        placed.map_err(|error| session.failure("order a certificate", &error))
    }

    /// Shows control of all names by one kind of challenge.
    async fn authorize(
        &mut self,
        session: &Session,
        order: &mut instant_acme::Order,
        kind: ChallengeKind,
    ) -> Result<(), Failure> {
        if order.state().status != OrderStatus::Pending {
            return Ok(());
        }
        let questions = self.questions(session, order, kind).await?;
        let records: Vec<_> =
            questions.iter().filter_map(|question| Answers::record_of(kind, question)).collect();
        self.meta.note_records(&records);
        self.save()?;
        let mut answers = Answers::new(self.around, self.options);
        let seen = self.answer(session, order, (kind, &questions, &mut answers)).await;
        let left = answers.take_back().await;
        self.meta.records.retain(|one| !records.contains(one) || left.contains(one));
        self.save()?;
        seen
    }

    async fn answer(
        &mut self,
        session: &Session,
        order: &mut instant_acme::Order,
        (kind, questions, answers): (ChallengeKind, &[Question], &mut Answers<'_>),
    ) -> Result<(), Failure> {
        for question in questions {
            answers.give(kind, question).await?;
        }
        answers.settle().await?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization =
                authorization.map_err(|error| session.failure("read a challenge", &error))?;
            if authorization.status == AuthorizationStatus::Pending
                && let Some(mut challenge) = authorization.challenge(kind_of(kind))
            {
                steady!(challenge.set_ready())
                    .map_err(|error| session.failure("begin a challenge", &error))?;
            }
        }
        match steady!(order.poll_ready(&POLL)) {
            Ok(OrderStatus::Ready) => Ok(()),
            Ok(_) => Err(self.unseen(session, order, kind).await),
            // The order says so itself; any other error is that of the question, and the order may still come to an end.
            Err(Error::Api(_)) if is_over(order) => Err(self.unseen(session, order, kind).await),
            Err(error) => Err(session.failure("have names validated", &error)),
        }
    }

    /// What the CA wants to see for each name that it does not know to be ours.
    async fn questions(
        &self,
        session: &Session,
        order: &mut instant_acme::Order,
        kind: ChallengeKind,
    ) -> Result<Vec<Question>, Failure> {
        steady!(fetch_authorizations(order))
            .map_err(|error| session.failure("read the challenges", &error))?;
        let mut questions = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization =
                authorization.map_err(|error| session.failure("read a challenge", &error))?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let name = authorization.identifier().to_string();
            match authorization.challenge(kind_of(kind)) {
                Some(challenge) => questions.push(question(&name, &challenge)),
                None => {
                    let sentence = format!(
                        "`{}` does not offer {} for `{name}`: allow another challenge",
                        session.label,
                        kind.as_str()
                    );
                    return Err(Failure { kind: FailureKind::NotOffered, sentence, retry_after: None });
                }
            }
        }
        Ok(questions)
    }

    /// Why the order became invalid: what the CA noted at the challenge.
    async fn unseen(
        &mut self,
        session: &Session,
        order: &mut instant_acme::Order,
        kind: ChallengeKind,
    ) -> Failure {
        remember(&mut self.meta.failed_validations, self.options.clock.now());
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            if let Err(error) = steady!(authorization.refresh()).map(drop) {
                return session.failure("read why a name was not validated", &error);
            }
            if authorization.status == AuthorizationStatus::Invalid {
                let problem = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref());
                let name = authorization.identifier().to_string();
                return explain::validation(&session.label, &name, kind, problem);
            }
        }
        explain::validation(&session.label, &self.target.names.join(", "), kind, None)
    }

    /// An order that will not be used any more: authorizations that are still open count against limits, so they are closed.
    async fn give_up(&mut self, mut order: instant_acme::Order) -> Result<(), Failure> {
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            if authorization.status == AuthorizationStatus::Pending {
                // It expires by itself if this fails.
                let _ = steady!(authorization.deactivate()).map(drop);
            }
        }
        self.forget()
    }
}

/// Fetches all authorizations of an order. Those that were fetched already stay, so that it can be repeated.
async fn fetch_authorizations(order: &mut instant_acme::Order) -> Result<(), Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        authorization?;
    }
    Ok(())
}

fn is_over(order: &mut instant_acme::Order) -> bool {
    let state = order.state();
    state.status == OrderStatus::Invalid || state.error.is_some()
}

/// An answer that is no refusal, but that the protocol's library does not take: the CA has ignored what is replaced.
fn is_strange(error: &Error) -> bool {
    matches!(error, Error::Other(other) if !other.is::<HttpError>()) || matches!(error, Error::Unsupported(_))
}

fn identifier(name: &str) -> Identifier {
    match name.parse() {
        Ok(address) => Identifier::Ip(address),
        Err(_) => Identifier::Dns(name.to_owned()),
    }
}

fn question(name: &str, challenge: &ChallengeHandle<'_>) -> Question {
    let authorization = challenge.key_authorization();
    let mut digest = [0; 32];
    // Both are the 32 bytes of SHA-256.
    digest.iter_mut().zip(authorization.digest().as_ref()).for_each(|(to, from)| *to = *from);
    Question {
        name: name.trim_start_matches("*.").to_owned(),
        token: challenge.token.clone(),
        authorization: authorization.as_str().to_owned(),
        digest,
        record: authorization.dns_value(),
    }
}
