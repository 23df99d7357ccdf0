//! "Did you mean": the known name that is nearest to what was written.

/// Names longer than this are not compared: the work is quadratic.
const MAX_LENGTH: usize = 64;

/// The candidate that `written` is most likely a misspelling of, if one is near enough: a third of its length in
/// edits (Damerau-Levenshtein, neighbours swapped count once), or equal but for case, `-` and `_`.
pub fn closest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if written.chars().count() > MAX_LENGTH {
        return None;
    }
    let plain = simplified(written);
    let allowed = (plain.len() / 3).max(1);
    let ranked = candidates.into_iter().filter(|name| name.len() <= MAX_LENGTH).map(|name| {
        let other = simplified(name);
        let prefix = plain.len() >= 3 && other.starts_with(&plain);
        (if prefix { 1 } else { distance(&plain, &other) }, name)
    });
    ranked
        .filter(|(edits, name)| *edits <= allowed && *name != written)
        .min_by_key(|(edits, _)| *edits)
        .map(|pair| pair.1)
}

/// The help line for an unknown name: the nearest, or else all of them if they are few.
pub(crate) fn help(written: &str, candidates: &[&str]) -> Option<String> {
    const FEW: usize = 12;
    if let Some(near) = closest(written, candidates.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let list: Vec<String> = candidates.iter().map(|name| format!("`{name}`")).collect();
    (1..=FEW).contains(&list.len()).then(|| format!("known here: {}", list.join(", ")))
}

fn simplified(name: &str) -> Vec<char> {
    name.chars().filter(|char| !matches!(char, '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// Optimal string alignment distance over three rolling rows.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, right) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(left != right);
            let mut best = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *left == b[j - 1] && a[i - 1] == *right {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}
