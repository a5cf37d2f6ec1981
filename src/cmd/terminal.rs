//! What verbs print and ask. Output that can't be written (a closed pipe) is not worth a panic.

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal, Write};

use zeroize::Zeroizing;

use crate::config::Report;

/// Writes a line for whoever reads the result.
pub(super) fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Writes a line for whoever sits in front of it, beside the result.
pub(super) fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Shows the findings of a check beside the result.
pub(super) fn complain(report: &Report) {
    let _ = write!(io::stderr(), "{report}");
}

/// Whether there is someone to ask.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// Asks a question and returns the trimmed answer.
pub(super) fn ask(question: &str) -> io::Result<String> {
    let _ = write!(io::stderr(), "{question}");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// Reads a password: from a terminal without echo and twice, otherwise one line of the standard input.
pub(super) fn password() -> io::Result<Zeroizing<String>> {
    if !can_ask() {
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().read_line(&mut line)?;
        return Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()));
    }
    let first = Zeroizing::new(rpassword::prompt_password("Password: ")?);
    let second = Zeroizing::new(rpassword::prompt_password("Again: ")?);
    if first == second { Ok(first) } else { Err(io::Error::other("the two do not agree")) }
}
