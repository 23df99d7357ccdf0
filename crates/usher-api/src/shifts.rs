//! What the admin API tells and changes of splits that move by themselves.

/// Whoever knows the shifts that serve. Called on a thread on which waiting is allowed.
pub trait ShiftControl: Send + Sync {
    /// All shifts and where they stand, as a JSON array.
    fn json(&self) -> String;

    /// Does something with the shift of a route. Gives a line that says what was done.
    ///
    /// # Errors
    /// In plain words: there is no such shift, or that makes no sense now.
    fn order(&self, route: &str, order: ShiftOrder) -> Result<String, String>;

    /// The numbers of all shifts.
    fn readings(&self) -> Vec<ShiftReading>;
}

/// What somebody wants of a shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShiftOrder {
    /// It goes no further.
    Pause,
    /// It goes on, or begins, or begins anew after it went back.
    Resume,
    /// The next step is taken now.
    Advance,
    /// The last step is taken now.
    Promote,
    /// The new target takes nothing any more.
    Abort,
    /// It begins anew from the first step.
    Restart,
}

impl ShiftOrder {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Pause, Self::Resume, Self::Advance, Self::Promote, Self::Abort, Self::Restart];

    /// Its name on the command line and in the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Advance => "advance",
            Self::Promote => "promote",
            Self::Abort => "abort",
            Self::Restart => "restart",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.as_str() == name)
    }
}

/// The numbers of one shift.
#[derive(Clone, Debug, PartialEq)]
pub struct ShiftReading {
    /// The route.
    pub route: String,
    /// Its state, in one word.
    pub state: &'static str,
    /// What the new target takes (0 to 1).
    pub share: f64,
    /// Steps forth, and back.
    pub moves: (u64, u64),
    /// The new side, and the old one.
    pub sides: [ShiftSide; 2],
}

/// The numbers of one side of a shift.
#[derive(Clone, Debug, PartialEq)]
pub struct ShiftSide {
    /// Its name in the config.
    pub target: String,
    /// `new` or `old`.
    pub side: &'static str,
    /// Requests, and those of them that failed.
    pub requests: (u64, u64),
    /// The 99th percentile of the time to the first byte in this step (microseconds).
    pub p99: Option<u64>,
}
