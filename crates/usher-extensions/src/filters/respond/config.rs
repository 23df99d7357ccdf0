//! The section `respond`.

use std::path::PathBuf;

use usher_config::{Named, Spanned};

use crate::filters::text::TemplateText;

usher_config::section! {
    /// Answers with a fixed response.
    #[bare(body)]
    pub struct Respond {
        /// The status.
        #[range(200..=599)]
        pub status: u16 = 200,
        /// The body; it may hold variables. Without it and `file`, an error status shows the route's error page.
        pub body: Option<Spanned<TemplateText>>,
        /// A file to take the body from, read when the config is read, up to 1 MiB. It holds no variables.
        pub file: Option<Spanned<PathBuf>>,
        /// The type of the body. Without it, `text/plain` with UTF-8, or what the name of the file says.
        pub content_type: Option<Spanned<TemplateText>>,
        /// Further fields of the response.
        pub headers: Named<Spanned<TemplateText>> = Named::default(),
    }
}
