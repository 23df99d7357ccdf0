//! The section `headers`.

use usher_config::{Named, OneOrMany, Spanned};

use crate::filters::text::TemplateText;

usher_config::section! {
    /// Sets, adds and removes header fields of requests and responses.
    pub default struct Headers {
        /// Changes to the request, before it goes to an endpoint.
        pub request: HeaderEdits = HeaderEdits::default(),
        /// Changes to the response, before it goes to the client. Responses of the proxy itself are changed too.
        pub response: HeaderEdits = HeaderEdits::default(),
    }
}

usher_config::section! {
    /// Changes to the fields of a head, in this order: remove, set, add, default. Values may hold variables; a field
    /// whose value comes out empty is not written.
    pub default struct HeaderEdits {
        /// Names of fields to take away.
        pub remove: OneOrMany<Spanned<String>> = OneOrMany::default(),
        /// Fields to write in place of those of the same name.
        pub set: Named<Spanned<TemplateText>> = Named::default(),
        /// Fields to write beside those of the same name.
        pub add: Named<OneOrMany<Spanned<TemplateText>>> = Named::default(),
        /// Fields to write where there is none of the same name.
        pub default: Named<Spanned<TemplateText>> = Named::default(),
    }
}
