//! Bodies that change on their way.

use crate::fields::Fields;

/// What a body with a transformation cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untransformable(pub &'static str);

/// Changes a body on its way, piece by piece. How long the result will be is not known before its end.
pub trait Transform {
    /// Takes a piece of the body, and appends what becomes of it; that may come later.
    ///
    /// # Errors
    /// The body is not what it must be.
    fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Untransformable>;

    /// The body has ended, with these trailers: appends what is left. Gives the trailers that are to be sent.
    ///
    /// # Errors
    /// The body is not complete.
    fn finish(
        &mut self,
        trailers: Option<&Fields>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Fields>, Untransformable>;
}
