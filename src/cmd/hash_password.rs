//! `coffer hash-password`: the hash for `USER_PASSWORD_HASH`, from the terminal without echo or from the standard input.

use std::process::ExitCode;

use clap::Args;

use super::terminal;
use crate::config::check_password;

/// The arguments of `coffer hash-password`.
#[derive(Args)]
pub(super) struct HashPassword {}

impl HashPassword {
    pub(super) fn run(&self) -> ExitCode {
        let password = match terminal::password() {
            Ok(password) => password,
            Err(error) => {
                terminal::note(format_args!("coffer hash-password: {error}"));
                return ExitCode::FAILURE;
            }
        };
        let report = check_password(&password);
        if report.has_errors() {
            terminal::complain(&report);
            return ExitCode::FAILURE;
        }
        match crate::owner::hash_password(&password) {
            Ok(hash) => {
                terminal::note("Put it into .env in single quotes: USER_PASSWORD_HASH='...'");
                terminal::say(hash);
                ExitCode::SUCCESS
            }
            Err(error) => {
                terminal::note(format_args!("coffer hash-password: {error}"));
                ExitCode::FAILURE
            }
        }
    }
}
