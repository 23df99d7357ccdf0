//! Step 5: the route of a request.

use std::cell::RefCell;

use usher_api::{Exchange, Reply};
use usher_net::Dialer;
use usher_route::{Captures, Outcome};

use crate::path::Visit;
use crate::steps::reply;
use crate::subject::Asking;

thread_local! {
    static CAPTURES: RefCell<Captures> = RefCell::new(Captures::new());
}

/// The index of the route, or the reply if there is none.
pub(crate) fn find<D: Dialer>(visit: &Visit<'_, D>, exchange: &mut Exchange) -> Result<u32, Box<Reply>> {
    let router = &visit.local.shared.router;
    CAPTURES.with_borrow_mut(|captures| {
        let asking = Asking { exchange, listener: visit.listener_index };
        match router.find(&asking, captures) {
            Outcome::Found(index) => {
                let Exchange { captures: kept, request, .. } = exchange;
                captures.iter(&request.path).for_each(|(name, value)| kept.push(name.into(), value));
                Ok(index)
            }
            Outcome::NotFound => Err(reply::not_found()),
            Outcome::MethodNotAllowed => Err(reply::method_not_allowed(&router.allowed(&asking))),
        }
    })
}
