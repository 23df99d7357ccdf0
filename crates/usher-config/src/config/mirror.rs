//! `mirror` of a route

use std::collections::BTreeMap;
use std::time::Duration;

use super::Endpoint;
use super::route::is_token_byte;
use crate::decode::{OneOrMany, Spanned};
use crate::value::{ByteSize, Percent};

crate::section! {
    /// Sends copies of requests to another cluster, whose answers are thrown away. Visitors never wait for that, and never
    /// see anything of it. Copies have all that the request has when it is sent on, its credentials and its body too, and
    /// whatever its method is: what receives them acts on them. Either `cluster` or `to` is set.
    #[bare(cluster)]
    pub struct Mirror {
        /// The name of a cluster.
        pub cluster: Option<Spanned<String>>,
        /// Of the `cluster`, only the endpoints that have all of these labels.
        pub subset: Option<Spanned<BTreeMap<String, String>>>,
        /// One or more endpoints, as a cluster without a name.
        pub to: Option<OneOrMany<Spanned<Endpoint>>>,
        /// Of how many requests there is a copy.
        pub share: Percent = Percent::ALL,
        /// How much of a body is kept for a cluster that takes it slower than it comes. A copy that needs more is given up.
        #[range(ByteSize::kib(1)..=ByteSize::mib(16))]
        pub buffer: ByteSize = ByteSize::kib(256),
        /// Copies under way at once, over all workers. Of requests beyond that there is none.
        #[range(1..=100_000)]
        pub max_in_flight: u32 = 100,
        /// How long a copy may take in all, from the request's head to the end of its answer; then it is given up.
        #[range(Duration::from_millis(1)..=Duration::from_secs(3600))]
        pub timeout: Duration = Duration::from_secs(30),
        /// What the copy's Host says, where the cluster's `host` keeps that of the client.
        pub host: MirrorHost = MirrorHost::Keep,
        /// A field that the copy has, with the value `1`, and nothing else should have: so the cluster can tell.
        #[check(field_name)]
        pub mark: String = "X-Usher-Mirror".to_owned(),
    }
}

crate::names! {
    /// What the Host of a copy says.
    pub enum MirrorHost {
        /// What the request's says.
        Keep = "keep",
        /// The same with `-shadow` behind the name, as Envoy has it: `example.com-shadow:8080`.
        Shadow = "shadow",
    }
}

/// A field's name is a token (RFC 9110 section 5.1); those that say where a message ends, or whom it is for, are not free.
fn field_name(name: &String) -> Result<(), String> {
    const TAKEN: [&str; 8] =
        ["host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect"];
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_token_byte) {
        return Err(format!("`{name}` is not the name of a field"));
    }
    if TAKEN.iter().any(|taken| name.eq_ignore_ascii_case(taken)) {
        return Err(format!(
            "`{name}` means something else; use a name of your own, such as `X-Usher-Mirror`"
        ));
    }
    Ok(())
}

impl Mirror {
    /// Where it sends copies. After checking, there is one.
    pub fn target(&self) -> Option<super::Target<'_>> {
        self.cluster.as_ref().map(super::Target::Cluster).or(self.to.as_ref().map(super::Target::To))
    }
}
