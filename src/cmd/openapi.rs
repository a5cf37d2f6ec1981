//! `coffer openapi`: the description of the API, which needs no settings and touches nothing.

use std::process::ExitCode;

use clap::Args;

use super::terminal;
use crate::api::openapi;

/// The arguments of `coffer openapi`.
#[derive(Args)]
pub(super) struct Openapi {}

impl Openapi {
    pub(super) fn run(&self) -> ExitCode {
        terminal::say(openapi::document().trim_end());
        ExitCode::SUCCESS
    }
}
