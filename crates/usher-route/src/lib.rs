//! Which route a request takes: a compiled matcher, and the reasons when asked; pure.
