//! `coffer init`: a complete `.env` with fresh secrets, once.
//!
//! It never overwrites a file, and it makes no new keys where an embedded bucket already holds something: a vault opens
//! with its own keys alone. The password is shown once and kept as a hash.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use data_encoding::{BASE64, HEXLOWER};
use zeroize::Zeroizing;

use super::terminal;
use crate::config::{self, EXAMPLE_ENV_FILE};
use crate::crypto::random;
use crate::owner::hash_password;

/// What a generated password is made of: digits and small letters that nobody confuses. 32 of them, so a byte's low bits
/// choose evenly.
const PASSWORD_LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const PASSWORD_GROUPS: usize = 5;
const PASSWORD_GROUP_CHARS: usize = 4;

const HEADER: &str = "\
# Coffer's settings, made by `coffer init`. Keep this file private (mode 0600), and keep a copy of VAULT_KEYS elsewhere:
# without it nothing opens. Values are literal: no $ is expanded. `coffer --env-file .env check` checks them all.
";

/// The arguments of `coffer init`.
#[derive(Args)]
pub(super) struct Init {
    /// The owner's e-mail address; asked for when absent
    #[arg(long)]
    email: Option<String>,
    /// Where to write
    #[arg(long, value_name = "FILE", default_value = ".env")]
    file: PathBuf,
    /// Another value than the default for a setting that is not a secret; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    if value.contains(['\'', '\n']) {
        return Err("a quote or a line end can't be written".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

impl Init {
    pub(super) fn run(self) -> ExitCode {
        match self.write() {
            Ok(password) => {
                let shown = self.file.display();
                terminal::say(format_args!("Wrote {shown} (mode 0600). Your password, shown only this once:\n"));
                terminal::say(format_args!("    {}\n", password.as_str()));
                terminal::say(format_args!("Copy VAULT_KEYS from {shown} elsewhere: without it nothing opens."));
                ExitCode::SUCCESS
            }
            Err(reason) => {
                terminal::note(format_args!("coffer init: {reason}"));
                ExitCode::FAILURE
            }
        }
    }

    /// Writes the file and returns the password.
    fn write(&self) -> Result<Zeroizing<String>, String> {
        if self.file.symlink_metadata().is_ok() {
            return Err(format!("{} exists already, and nothing is ever overwritten", self.file.display()));
        }
        let email = self.email()?;
        let password = new_password();
        let mut values: BTreeMap<String, String> = self.set.iter().cloned().collect();
        values.extend(secrets());
        values.insert("USER_PASSWORD_HASH".into(), hash_password(&password).map_err(|error| error.to_string())?);
        values.insert("USER_EMAIL".into(), email);
        let text = Zeroizing::new(fill_in(&values)?);
        check(&text)?;
        create(&self.file, &text).map_err(|error| format!("{} can't be written: {error}", self.file.display()))?;
        Ok(password)
    }

    fn email(&self) -> Result<String, String> {
        match &self.email {
            Some(email) => Ok(email.clone()),
            None if terminal::can_ask() => {
                terminal::ask("Your e-mail address (you log in with it): ").map_err(|error| error.to_string())
            }
            None => Err("there is no terminal to ask for the e-mail address: use --email".to_owned()),
        }
    }
}

fn secrets() -> [(String, String); 5] {
    let key = |bytes: [u8; 32]| BASE64.encode(Zeroizing::new(bytes).as_slice());
    [
        ("USER_PASSWORD", String::new()),
        ("JWT_SECRET", key(random::bytes())),
        ("VAULT_KEYS", format!("main:{}", key(random::bytes()))),
        ("S3_ACCESS_KEY_ID", format!("coffer-{}", HEXLOWER.encode(&random::bytes::<8>()))),
        ("S3_SECRET_ACCESS_KEY", HEXLOWER.encode(&random::bytes::<32>())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

fn new_password() -> Zeroizing<String> {
    let choices = Zeroizing::new(random::bytes::<{ PASSWORD_GROUPS * PASSWORD_GROUP_CHARS }>());
    let letters = choices.iter().map(|choice| char::from(PASSWORD_LETTERS[usize::from(choice % 32)]));
    let mut password = Zeroizing::new(String::new());
    for (index, letter) in letters.enumerate() {
        if index > 0 && index % PASSWORD_GROUP_CHARS == 0 {
            password.push('-');
        }
        password.push(letter);
    }
    password
}

/// `.env.example` with these values and a header of its own.
fn fill_in(values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut left: BTreeMap<&str, &str> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut text = HEADER.to_owned();
    for line in EXAMPLE_ENV_FILE.lines().skip_while(|line| !line.is_empty()) {
        match line.split_once('=').and_then(|(name, _)| Some((name, left.remove(name)?))) {
            Some((name, value)) if value.contains(['$', ' ', '#']) => text.push_str(&format!("{name}='{value}'")),
            Some((name, value)) => text.push_str(&format!("{name}={value}")),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    match left.keys().next() {
        Some(unknown) => Err(format!("{unknown} is not a setting")),
        None => Ok(text),
    }
}

/// Refuses to write what `coffer check` would refuse, and keys for a bucket that has others.
fn check(text: &str) -> Result<(), String> {
    let variables = config::parse_env_file(text).map_err(|error| error.to_string())?;
    let (config, report) = config::load(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
    let config = config.ok_or_else(|| format!("the settings would not pass:\n{report}"))?;
    if let config::Endpoint::Embedded(path) = config.store.endpoint
        && holds_something(&path)
    {
        return Err(format!(
            "{} already holds a vault, which opens only with its own keys: put its .env back, or move the folder away",
            path.display()
        ));
    }
    Ok(())
}

fn holds_something(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn init(folder: &Path, set: &[(&str, String)]) -> Result<Zeroizing<String>, String> {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Init { email: Some("ada@coffer.test".into()), file: folder.join(".env"), set }.write()
    }

    fn embedded(folder: &Path) -> (&'static str, String) {
        ("S3_ENDPOINT", format!("embedded:{}", folder.join("store").display()))
    }

    #[test]
    fn what_it_writes_is_private_complete_and_passes_the_check() {
        let folder = tempfile::tempdir().unwrap();
        let password = init(folder.path(), &[embedded(folder.path()), ("BIND", "127.0.0.1:9000".into())]).unwrap();
        let path = folder.path().join(".env");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(password.as_str()));
        assert!(!text.contains("replace-me"));
        assert_eq!(text.matches("\nUSER_PASSWORD_HASH='$argon2id$").count(), 1);
        assert!(text.contains("\nBIND=127.0.0.1:9000\n"));
        let variables = config::parse_env_file(&text).unwrap();
        assert_eq!(variables.len(), config::parse_env_file(EXAMPLE_ENV_FILE).unwrap().len());
        let (config, report) = config::load(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        assert!(config.is_some() && report.findings.is_empty(), "{report}");
    }

    #[test]
    fn nothing_is_ever_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), "KEEP=me").unwrap();
        assert!(init(folder.path(), &[embedded(folder.path())]).unwrap_err().contains("exists already"));
        assert_eq!(std::fs::read_to_string(folder.path().join(".env")).unwrap(), "KEEP=me");
    }

    #[test]
    fn new_keys_over_an_existing_vault_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        std::fs::create_dir(&store).unwrap();
        std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::write(store.join("object"), "").unwrap();
        assert!(init(folder.path(), &[embedded(folder.path())]).unwrap_err().contains("already holds a vault"));
        assert!(!folder.path().join(".env").exists());
    }

    #[test]
    fn bad_settings_are_not_written() {
        let folder = tempfile::tempdir().unwrap();
        for (name, value) in
            [("BIND", "nonsense"), ("NO_SUCH_SETTING", "1"), ("PUBLIC_URL", "http://vault.coffer.test")]
        {
            assert!(init(folder.path(), &[(name, value.into())]).is_err(), "{name}");
        }
        assert!(!folder.path().join(".env").exists());
    }
}
