//! What happens to the endpoints, and when. Everything is undone within its fault, and then all is quiet for a while.

use std::io;
use std::time::Duration;

use super::endpoint::Manner;

/// The endpoints that the name stands for, unless a fault says otherwise; the one behind them waits.
pub(super) const USUAL: &[usize] = &[0, 1, 2, 3, 4];
/// All of them.
pub(super) const ENDPOINTS: usize = 6;

/// What is done to an endpoint, or to the name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Act {
    /// SIGKILL.
    Kill(usize),
    /// Started anew.
    Start(usize),
    /// SIGSTOP: connections are still accepted, by the kernel.
    Freeze(usize),
    /// SIGCONT.
    Thaw(usize),
    /// It answers otherwise from now on; what asks for its health goes on being told that all is well.
    Tell(usize, Manner),
    /// The name stands for these from now on.
    Answer(&'static [usize]),
    /// Whoever watches names has seen it: nginx is reloaded, as this one does not look again by itself.
    Noticed,
    /// Only the time is noted.
    Nothing,
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) name: &'static str,
    /// What the page says of it.
    pub(super) what: &'static str,
    /// How long after its beginning what is done, in order.
    pub(super) acts: &'static [(Duration, Act)],
    seconds: u64,
}

impl Fault {
    /// From its beginning to that of the next one.
    pub(super) const fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

const fn at(millis: u64, act: Act) -> (Duration, Act) {
    (Duration::from_millis(millis), act)
}

/// The first one shows what is usual.
const ALL: &[Fault] = &[
    Fault { name: "calm", what: "nothing happens", acts: &[at(0, Act::Nothing)], seconds: 6 },
    Fault {
        name: "killed",
        what: "an endpoint is killed (SIGKILL), and started 8 s later",
        acts: &[at(0, Act::Kill(0)), at(8_000, Act::Start(0))],
        seconds: 13,
    },
    Fault {
        name: "frozen",
        what: "an endpoint is stopped (SIGSTOP), and goes on 8 s later",
        acts: &[at(0, Act::Freeze(1)), at(8_000, Act::Thaw(1))],
        seconds: 13,
    },
    Fault {
        name: "slowed",
        what: "an endpoint takes 400 ms instead of 2 ms, for 8 s",
        acts: &[at(0, Act::Tell(2, Manner::Slow)), at(8_000, Act::Tell(2, Manner::Fine))],
        seconds: 13,
    },
    Fault {
        name: "errors",
        what: "an endpoint answers 500, for 8 s",
        acts: &[at(0, Act::Tell(3, Manner::Errors)), at(8_000, Act::Tell(3, Manner::Fine))],
        seconds: 13,
    },
    Fault {
        name: "resets",
        what: "an endpoint resets connections instead of answering, for 8 s",
        acts: &[at(0, Act::Tell(4, Manner::Resets)), at(8_000, Act::Tell(4, Manner::Fine))],
        seconds: 13,
    },
    Fault {
        name: "cuts",
        what: "an endpoint resets connections in the middle of its responses, for 8 s",
        acts: &[at(0, Act::Tell(0, Manner::Cuts)), at(8_000, Act::Tell(0, Manner::Fine))],
        seconds: 13,
    },
    Fault {
        name: "restarts",
        what: "all endpoints are restarted one after another: killed, and started 700 ms later",
        acts: &[
            at(0, Act::Kill(0)),
            at(700, Act::Start(0)),
            at(2_000, Act::Kill(1)),
            at(2_700, Act::Start(1)),
            at(4_000, Act::Kill(2)),
            at(4_700, Act::Start(2)),
            at(6_000, Act::Kill(3)),
            at(6_700, Act::Start(3)),
            at(8_000, Act::Kill(4)),
            at(8_700, Act::Start(4)),
        ],
        seconds: 14,
    },
    Fault {
        name: "moves",
        what: "the name has another address instead of one that is killed 3 s later; and back after 10 s",
        acts: &[
            at(0, Act::Answer(&[0, 1, 2, 3, 5])),
            at(1_000, Act::Noticed),
            at(3_000, Act::Kill(4)),
            at(8_000, Act::Start(4)),
            at(10_000, Act::Answer(USUAL)),
            at(11_000, Act::Noticed),
            at(13_000, Act::Kill(5)),
            at(16_000, Act::Start(5)),
        ],
        seconds: 18,
    },
];

/// Those of these names, behind the first one, which is always there; all without names.
pub(super) fn named(names: &[String]) -> io::Result<Vec<Fault>> {
    if let Some(unknown) = names.iter().find(|name| ALL.iter().all(|fault| fault.name != **name)) {
        let known: Vec<&str> = ALL.iter().map(|fault| fault.name).collect();
        return Err(io::Error::other(format!("there is no fault `{unknown}`: {}", known.join(", "))));
    }
    let wanted = |fault: &Fault| names.is_empty() || names.iter().any(|name| name == fault.name);
    let rest = ALL.iter().skip(1).filter(|fault| wanted(fault));
    Ok(ALL.iter().take(1).chain(rest).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_is_undone_and_in_order() {
        for fault in ALL {
            assert!(fault.acts.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{}", fault.name);
            let last = fault.acts.last().unwrap().0;
            assert!(last < fault.length() && fault.length().as_millis() % 500 == 0, "{}", fault.name);
            for index in 0..ENDPOINTS {
                let of_it: Vec<Act> =
                    fault.acts.iter().map(|(_, act)| *act).filter(|act| of(*act, index)).collect();
                let undone = [Act::Start(index), Act::Thaw(index), Act::Tell(index, Manner::Fine)];
                assert!(of_it.last().is_none_or(|act| undone.contains(act)), "{} {index}", fault.name);
            }
        }
    }

    fn of(act: Act, index: usize) -> bool {
        match act {
            Act::Kill(at) | Act::Start(at) | Act::Freeze(at) | Act::Thaw(at) | Act::Tell(at, _) => {
                at == index
            }
            Act::Answer(_) | Act::Noticed | Act::Nothing => false,
        }
    }

    #[test]
    fn faults_are_called_by_name() {
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            named(&wanted).map(|found| found.iter().map(|fault| fault.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["frozen"]).unwrap(), ["calm", "frozen"]);
        assert_eq!(names(&[]).unwrap().len(), ALL.len());
        assert!(names(&["melted"]).is_err());
    }
}
