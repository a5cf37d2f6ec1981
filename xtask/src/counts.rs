//! How many tests passed and failed, read from the summary lines of the runners in use.

/// Tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

impl Counts {
    /// The counts of a summary line of nextest, `cargo test`, pytest or vitest; `None` for every other line.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let line = without_colours(line);
        let is_nextest = line.trim_start().starts_with("Summary [") && line.contains(" run: ");
        let is_libtest = line.starts_with("test result: ");
        let is_pytest = line.contains(" in ") && line.trim_matches([' ', '=']).ends_with('s') && {
            let text = line.trim_matches([' ', '=']);
            text.starts_with(|c: char| c.is_ascii_digit()) && (text.contains(" passed") || text.contains(" failed"))
        };
        let is_vitest = line.trim_start().starts_with("Tests  ") && line.trim_end().ends_with(')');
        if !(is_nextest || is_libtest || is_pytest || is_vitest) {
            return None;
        }
        let failed = ["failed", "timed out", "exec failed", "errors", "error"];
        Some(Self { passed: before(&line, "passed"), failed: failed.iter().map(|word| before(&line, word)).sum() })
    }

    /// Both together.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// The number in front of `word`, where `word` ends an item of the line.
fn before(line: &str, word: &str) -> u32 {
    let items = line.split([',', ';', ':', '.', '=', '(', '|']).map(str::trim);
    let item =
        items.filter_map(|item| item.strip_suffix(word).or_else(|| item.split_once(" in ")?.0.strip_suffix(word)));
    item.filter_map(|rest| rest.trim().split(' ').next_back()?.parse::<u32>().ok()).next().unwrap_or(0)
}

fn without_colours(line: &str) -> String {
    let mut text = String::new();
    let mut parts = line.split('\u{1b}');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        text.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runners_summaries_are_understood() {
        for (line, expected) in [
            ("     Summary [  12.3s] 120 tests run: 118 passed (2 slow), 2 failed, 3 skipped", Some((118, 2))),
            ("     Summary [   0.3s] 1 test run: 1 passed, 0 skipped", Some((1, 0))),
            ("     Summary [   9.9s] 5/9 tests run: 3 passed, 1 failed, 1 timed out, 4 skipped", Some((3, 2))),
            (
                "\u{1b}[32;1m     Summary\u{1b}[0m [   0.3s] \u{1b}[1m4\u{1b}[0m tests run: \u{1b}[1m4\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, 0 skipped",
                Some((4, 0)),
            ),
            (
                "test result: ok. 31 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 8.11s",
                Some((31, 0)),
            ),
            ("test result: FAILED. 16 passed; 15 failed; 0 ignored; finished in 6.92s", Some((16, 15))),
            ("5 passed in 0.53s", Some((5, 0))),
            ("==== 2 failed, 5 passed in 12.01s ====", Some((5, 2))),
            ("1 failed, 2 passed, 1 error in 0.10s", Some((2, 2))),
            ("      Tests  40 passed (40)", Some((40, 0))),
            ("      Tests  1 failed | 39 passed | 2 skipped (42)", Some((39, 1))),
            (
                "\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m\u{1b}[31m1 failed\u{1b}[39m\u{1b}[22m\u{1b}[2m | \u{1b}[22m\u{1b}[1m\u{1b}[32m39 passed\u{1b}[39m\u{1b}[22m\u{1b}[90m (40)\u{1b}[39m",
                Some((39, 1)),
            ),
            (" Test Files  1 failed | 2 passed (3)", None),
            ("        PASS [   0.004s] coffer config::tests::passed", None),
            ("the door was passed in 3s", None),
            ("", None),
        ] {
            let expected = expected.map(|(passed, failed)| Counts { passed, failed });
            assert_eq!(Counts::of_line(line), expected, "{line}");
        }
    }
}
