//! The section of `sticky`.

use std::time::Duration;

use usher_config::{OneOrMany, Secret, Spanned};

usher_config::section! {
    /// A cookie brings visitors back to the endpoint that served them first.
    pub struct Sticky {
        /// What cookies are made from, 16 characters at least: who knows it can tell which endpoint a cookie names, and
        /// make one for another. The same on all proxies in front of the same endpoints. Of several, the first makes
        /// new cookies and all are understood.
        pub secret: OneOrMany<Spanned<Secret>>,
        /// The name of the cookie. Without it, `usher_` and eight digits that come from the cluster's name.
        pub name: Option<Spanned<String>>,
        /// The paths that it is sent for.
        pub path: Spanned<String> = Spanned::nowhere("/".to_owned()),
        /// How long browsers keep it. Without it, until they are closed.
        #[range(Duration::from_secs(1)..=Duration::from_secs(34_560_000))]
        pub max_age: Option<Duration>,
        /// Whether it is sent with requests that other sites cause. `none` works over HTTPS only.
        pub same_site: SameSite = SameSite::Lax,
    }
}

usher_config::names! {
    /// Whether a cookie is sent with requests that other sites cause.
    pub enum SameSite {
        /// Never.
        Strict = "strict",
        /// When a visitor follows a link from there.
        Lax = "lax",
        /// Always, for pages that are shown within pages of other sites.
        None = "none",
    }
}
