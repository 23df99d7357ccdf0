//! `buffer_request`: takes in the whole body of a request before an endpoint is chosen.
//!
//! The engine does the work: a filter that states a [`Filter::body_limit`] is asked after the body is in memory. It
//! runs in the phase `rewrite`, so that who is limited or not let in by an earlier filter uploads nothing.

pub mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use usher_api::{BuildContext, DryRun, Exchange, Filter, FilterFactory, Phase};
use usher_config::{ByteSize, Decode, Node};

/// The filter `buffer_request`.
pub const FACTORY: FilterFactory = FilterFactory {
    name: "buffer_request",
    phase: Phase::Rewrite,
    summary: "take in whole request bodies first, so that slow uploads occupy no endpoint",
    schema: config::BufferRequest::schema,
    build,
};

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Filter>> {
    let config = config::BufferRequest::decode(node, cx.config)?;
    Some(Arc::new(BufferRequest { size: config.size }))
}

struct BufferRequest {
    size: ByteSize,
}

impl Filter for BufferRequest {
    fn body_limit(&self) -> Option<u64> {
        Some(self.size.0)
    }

    fn describe(&self) -> String {
        format!("bodies up to {}", self.size)
    }

    fn dry_run(&self, _: &mut Exchange) -> Option<DryRun> {
        Some(DryRun::passes(format!("a body of up to {} is taken in first", self.size)))
    }
}
