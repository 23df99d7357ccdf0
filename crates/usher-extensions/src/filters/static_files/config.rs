//! The section `static_files`.

use std::path::PathBuf;

use usher_config::Spanned;
use usher_http::media::Coding;

use crate::filters::text::TemplateText;

usher_config::section! {
    /// Serves files from a folder. On a route with `to`, `cluster` or `split`, only files that are there are served; all
    /// other requests go on.
    #[bare(root)]
    pub struct StaticFiles {
        /// The folder. The path of the request is looked up in it as a whole: `/assets/a.css` is `assets/a.css`.
        pub root: Spanned<PathBuf>,
        /// Takes this from the beginning of the path before the file is looked up. A path without it is not found.
        pub strip_prefix: Option<Spanned<String>>,
        /// Files to show for a folder, the first that is there.
        pub index: Vec<Spanned<String>> = vec![Spanned::nowhere("index.html".to_owned())],
        /// Shows what is in a folder that has no index.
        pub listing: bool = false,
        /// Kinds of compressed files that may stand beside a file: `a.css.br`, `a.css.zst`, `a.css.gz`. The client gets
        /// the one that it likes best; among equals, the first in this list.
        pub precompressed: Vec<Precompressed> = Vec::new(),
        /// The value of `Cache-Control`.
        pub cache_control: Option<Spanned<TemplateText>>,
        /// The file to show for what is not there, with status 200: for applications that read the path themselves.
        pub fallback: Option<Spanned<String>>,
        /// Serves files and folders whose names begin with a dot. `.well-known` is served in any case.
        pub hidden: bool = false,
        /// What happens with symbolic links.
        pub symlinks: Symlinks = Symlinks::Inside,
    }
}

usher_config::names! {
    /// What happens with symbolic links.
    pub enum Symlinks {
        /// They are followed as long as they stay inside of the folder.
        Inside = "inside",
        /// They are followed wherever they lead.
        Follow = "follow",
        /// What is reached by one is not found.
        Refuse = "refuse",
    }
}

usher_config::names! {
    /// A kind of compressed file.
    pub enum Precompressed {
        /// Brotli, `.br`.
        Brotli = "br",
        /// Zstandard, `.zst`.
        Zstd = "zstd",
        /// gzip, `.gz`.
        Gzip = "gzip",
    }
}

impl Precompressed {
    /// The coding, as clients ask for it.
    pub fn coding(self) -> Coding {
        match self {
            Self::Brotli => Coding::Brotli,
            Self::Zstd => Coding::Zstd,
            Self::Gzip => Coding::Gzip,
        }
    }
}

/// What is added to the name of a file that has this coding.
pub fn extension(coding: Coding) -> &'static [u8] {
    match coding {
        Coding::Brotli => b".br",
        Coding::Zstd => b".zst",
        Coding::Gzip => b".gz",
        Coding::Identity => b"",
    }
}
