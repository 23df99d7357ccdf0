//! What follows from answers: an endpoint is out, or back, after so many of the same kind in a row.

use usher_engine::snapshot::HealthSpec;

/// The answers of one endpoint, as far as they still count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Streak {
    well: bool,
    /// Answers in a row that say otherwise.
    against: u32,
    /// The next answer counts at once: nobody has asked before.
    first: bool,
}

/// An endpoint that is out, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// It is back.
    pub(super) well: bool,
    /// After so many answers of the same kind in a row.
    pub(super) after: u32,
    /// It was the first that counts at once.
    pub(super) at_once: bool,
}

impl Streak {
    /// Begins with what is believed. `first`: the next answer counts at once.
    pub(super) fn begin(well: bool, first: bool) -> Self {
        Self { well, against: 0, first }
    }

    /// Notes an answer; what follows from it, if anything does.
    pub(super) fn note(&mut self, well: bool, health: &HealthSpec) -> Option<Turn> {
        self.turn(well, (health.healthy_after, health.unhealthy_after))
    }

    fn turn(&mut self, well: bool, (healthy_after, unhealthy_after): (u32, u32)) -> Option<Turn> {
        let first = std::mem::take(&mut self.first);
        if well == self.well {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        let needed = if well { healthy_after } else { unhealthy_after };
        if !first && self.against < needed {
            return None;
        }
        let after = std::mem::take(&mut self.against);
        self.well = well;
        Some(Turn { well, after, at_once: first })
    }
}

#[cfg(test)]
mod tests {
    use super::Streak;

    /// `+` and `-` are answers; after each, the answers that a turn took, or a blank.
    #[test]
    fn turns_after_answers_in_a_row() {
        let cases = [
            // Well at the beginning; out after 3, back after 2.
            (true, false, "---", "  3"),
            (true, false, "--+--+---", "        3"),
            (true, false, "---+-++", "  3   2"),
            (true, false, "----++---", "  3  2  3"),
            // The first answer counts at once, in either direction, and only the first.
            (true, true, "-++---", "1 2  3"),
            (true, true, "+---", "   3"),
            (false, true, "+---", "1  3"),
            (false, false, "+-++", "   2"),
        ];
        for (well, first, answers, expected) in cases {
            let mut streak = Streak::begin(well, first);
            let mut said = String::new();
            for answer in answers.chars() {
                match streak.turn(answer == '+', (2, 3)) {
                    Some(turn) => {
                        assert_eq!(turn.well, answer == '+');
                        said.push_str(&turn.after.to_string());
                    }
                    None => said.push(' '),
                }
            }
            assert_eq!(said.trim_end(), expected, "{well} {first} {answers}");
        }
    }
}
