//! The section `headers`.

use usher_config::{Named, OneOrMany, Regex, Spanned};

use crate::filters::text::TemplateText;

usher_config::section! {
    /// Sets, adds and removes header fields of requests and responses.
    pub default struct Headers {
        /// Whether the `headers` of bundles and `[defaults]` hold too, before these. Without it, these alone count, and
        /// `usher check` names what is lost.
        pub inherit: Option<bool>,
        /// Changes to the request, before it goes to an endpoint.
        pub request: HeaderEdits = HeaderEdits::default(),
        /// Changes to the response, before it goes to the client. Responses of the proxy itself are changed too.
        pub response: HeaderEdits = HeaderEdits::default(),
    }
}

usher_config::section! {
    /// Changes to the fields of a head, in this order: remove, replace, set, add, default. Values may hold variables; a field
    /// whose value comes out empty is not written.
    pub default struct HeaderEdits {
        /// Names of fields to take away.
        pub remove: OneOrMany<Spanned<String>> = OneOrMany::default(),
        /// Changes to values that are there: what a regular expression finds in them is replaced.
        pub replace: Named<OneOrMany<ValueRule>> = Named::default(),
        /// Fields to write in place of those of the same name.
        pub set: Named<Spanned<TemplateText>> = Named::default(),
        /// Fields to write beside those of the same name.
        pub add: Named<OneOrMany<Spanned<TemplateText>>> = Named::default(),
        /// Fields to write where there is none of the same name.
        pub default: Named<Spanned<TemplateText>> = Named::default(),
    }
}

usher_config::section! {
    /// A regular expression and what replaces its first match in each value.
    pub struct ValueRule {
        /// The expression. It is searched anywhere in the value; `^` and `$` tie it to the ends.
        #[key("match")]
        pub pattern: Spanned<Regex>,
        /// What replaces it: text, groups (`$1`, `$name`; `$$` is a dollar sign) and variables (`{client.ip}`).
        pub to: Spanned<String>,
    }
}
