//! `usher explain`
