//! Breaks prose into lines of at most 78 bytes so that their ends are as even as they can be:
//! the sum of the squared gaps is least, as in the library that Vault's tools use.

const WIDTH: usize = 78;

/// Wraps with every line indented by `pad` spaces.
pub(crate) fn indented(text: &str, pad: usize) -> String {
    let indent = " ".repeat(pad);
    let lines = lines(text, WIDTH - pad);
    lines.iter().map(|l| format!("{indent}{l}")).collect::<Vec<_>>().join("\n")
}

/// Wraps without indentation.
pub(crate) fn wrapped(text: &str) -> String {
    indented(text, 0)
}

fn lines(text: &str, limit: usize) -> Vec<String> {
    const TOO_LONG: u64 = 100_000;
    let words: Vec<&str> = text.split_whitespace().collect();
    let n = words.len();
    // best[i]: least cost of setting the words from i on, and where the next line then begins.
    let mut best = vec![(0u64, n); n + 1];
    for i in (0..n).rev() {
        let mut length = 0;
        best[i] = (u64::MAX, n);
        for next in i + 1..=n {
            length += words[next - 1].len() + usize::from(next > i + 1);
            if next == n && length <= limit {
                best[i] = (0, n);
                break;
            }
            let gap = limit.abs_diff(length) as u64;
            let over = if length > limit { TOO_LONG } else { 0 };
            let cost = (gap * gap + over).saturating_add(best[next].0);
            if cost < best[i].0 {
                best[i] = (cost, next);
            }
            if length > limit {
                break;
            }
        }
    }
    let mut out = Vec::new();
    let mut at = 0;
    while at < n {
        let next = best[at].1;
        out.push(words[at..next].join(" "));
        at = next;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_the_limit_and_no_word_is_lost() {
        let text = "word ".repeat(60);
        let out = indented(&text, 6);
        assert!(out.lines().all(|l| l.len() <= 78 && l.starts_with("      w")));
        assert_eq!(out.split_whitespace().count(), 60);
    }

    #[test]
    fn a_word_longer_than_a_line_is_kept_whole() {
        let long = "x".repeat(100);
        let out = wrapped(&format!("a {long} b"));
        assert_eq!(out.split_whitespace().collect::<Vec<_>>(), ["a", &long, "b"]);
    }
}
