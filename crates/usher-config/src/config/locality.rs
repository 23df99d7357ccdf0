//! `locality = …` of a cluster

use crate::value::Percent;

crate::section! {
    /// Endpoints of the proxy's own zone are preferred: what stays within a zone is faster, and often costs less. Which zone
    /// that is says `zone` at the top of the config; an endpoint's says its label `zone`. One without it is elsewhere.
    pub default struct Locality {
        /// Endpoints of other zones are asked too when less than this share of those in the own zone is well, and the more
        /// of the requests the fewer are. `0%` waits until nobody in the own zone is well. The default is that of Envoy,
        /// whose overprovisioning factor is 1.4.
        pub spill_over: Percent = Percent::of(71),
    }
}
