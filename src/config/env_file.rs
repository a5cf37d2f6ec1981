//! A strict reader of `.env` files: one `NAME=value` a line, taken literally.
//!
//! Nothing is expanded, so that a password hash keeps its `$`. A value may stand in single or double quotes, which are
//! taken off; inside them everything is literal too. Docker's `--env-file` and systemd's `EnvironmentFile` read the files
//! that `coffer init` writes in the same way.

/// A line that can't be read. Its content is not repeated: it may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct EnvFileError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The variables of a `.env` file in their order.
///
/// # Errors
/// The first line that is not empty, not a comment and not an assignment.
pub fn parse_env_file(text: &str) -> Result<Vec<(String, String)>, EnvFileError> {
    let mut variables: Vec<(String, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let refuse = |reason| EnvFileError { line: index + 1, reason };
        let (name, value) = line.split_once('=').ok_or(refuse("is not NAME=value"))?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(refuse("has a name with other characters than letters, digits and _ (no spaces, no export)"));
        }
        if variables.iter().any(|(known, _)| known == name) {
            return Err(refuse("sets a variable for the second time"));
        }
        variables.push((name.to_owned(), unquote(value).map_err(refuse)?.to_owned()));
    }
    Ok(variables)
}

fn unquote(value: &str) -> Result<&str, &'static str> {
    let value = value.trim_start();
    for quote in ['\'', '"'] {
        if let Some(inner) = value.strip_prefix(quote) {
            let inner = inner.strip_suffix(quote).ok_or("has a quote that does not close at its end")?;
            return if inner.contains(quote) { Err("has a quote within the same quotes") } else { Ok(inner) };
        }
    }
    if value.contains(" #") { Err("has a comment after the value: put it on its own line") } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> Result<String, &'static str> {
        let mut variables = parse_env_file(line).map_err(|error| error.reason)?;
        assert_eq!(variables.len(), 1);
        Ok(variables.remove(0).1)
    }

    #[test]
    fn values_are_literal() {
        for (line, expected) in [
            ("A=$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"),
            ("A='$HOME ${X} \\n'", "$HOME ${X} \\n"),
            ("A=\"it's\"", "it's"),
            ("A=", ""),
            ("A=''", ""),
            ("A=b=c", "b=c"),
            ("  A=b  ", "b"),
            ("A=b#c", "b#c"),
            ("\n# comment\nA=b\n", "b"),
        ] {
            assert_eq!(value(line).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_two_readers_could_understand_differently_is_refused() {
        for line in ["A", "export A=b", "A =b", "=b", "A='b", "A='b' # c", "A=b # c", "A='b'c'", "A=1\nA=2", "A-B=c"] {
            assert!(parse_env_file(line).is_err(), "{line}");
        }
        assert_eq!(parse_env_file("A=1\n\nB").unwrap_err().line, 3);
    }
}
