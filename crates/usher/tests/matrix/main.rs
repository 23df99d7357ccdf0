//! Every protocol of clients with every protocol of endpoints, through the real binary: each behaviour is written once,
//! as what the client and the endpoint do in turn, and run for every pair. Both are the drivers of `usher-wire` behind
//! their traits, in this process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod again;
mod bodies;
mod breaks;
mod client;
mod config;
mod early;
mod endpoint;
mod filters;
mod ground;
mod hand;
mod heads;
mod leaves;
mod many;
mod mirror;
mod served;
mod speech;
mod tunnels;

/// A test of this name per behaviour of a module, each for all pairs.
macro_rules! behaviours {
    ($($name:ident),* $(,)?) => {
        mod tests {
            $(
                #[test]
                fn $name() {
                    $crate::ground::every_pair(super::$name);
                }
            )*
        }
    };
}
pub(crate) use behaviours;
