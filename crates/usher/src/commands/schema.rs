//! `usher schema`

use crate::known;
use crate::terminal::{Failure, print};

pub(super) fn run(reference: bool) -> Result<(), Failure> {
    print(if reference { known::reference_page() } else { known::schema() })
}
