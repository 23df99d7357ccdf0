//! The section `redirect`.

use usher_config::Spanned;

use crate::filters::text::TemplateText;

usher_config::section! {
    /// Sends the client to another URL.
    #[bare(to)]
    pub struct Redirect {
        /// Where to: `https://example.com/new/{rest}`, or a path of the same site. What may not stand in a URL is
        /// percent-encoded; a variable cannot change the host.
        pub to: Spanned<TemplateText>,
        /// The status: 308 and 301 are permanent, 307 and 302 are not; with 308 and 307 the method stays the same,
        /// with 303 it becomes GET.
        #[check(is_redirect)]
        pub status: u16 = 308,
        /// Adds the query of the request to the URL.
        pub keep_query: bool = false,
    }
}

fn is_redirect(status: &u16) -> Result<(), String> {
    match status {
        301 | 302 | 303 | 307 | 308 => Ok(()),
        _ => Err(format!("`{status}` is not a status of a redirect: 301, 302, 303, 307 or 308")),
    }
}
