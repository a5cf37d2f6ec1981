//! `coffer check`: everything that is wrong with the settings, at once.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{settings, terminal};
use crate::config::{Finding, Report, Severity};

/// The arguments of `coffer check`.
#[derive(Args)]
pub(super) struct Check {
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    ok: bool,
    findings: &'a [Finding],
}

impl Check {
    pub(super) fn run(&self, env_file: Option<&Path>) -> ExitCode {
        let (_, report) = settings::read(env_file);
        self.print(&report);
        if report.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn print(&self, report: &Report) {
        if self.json {
            let answer = Answer { ok: !report.has_errors(), findings: &report.findings };
            let text = serde_json::to_string_pretty(&answer).expect("a report is plain texts");
            return terminal::say(text);
        }
        terminal::say(format_args!("{report}{}", summary(report)));
    }
}

fn summary(report: &Report) -> String {
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    match (errors, report.findings.len() - errors) {
        (0, 0) => "The settings are good.".to_owned(),
        (0, warnings) => format!("The settings will do; warnings: {warnings}."),
        (errors, warnings) => format!("The vault will not start; errors: {errors}, warnings: {warnings}."),
    }
}
