//! `coffer check`: everything that is wrong with the settings, at once.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{probe, settings, terminal};
use crate::config::{Finding, Report, Severity};
use crate::store::{Abilities, PartChecksum};

/// The arguments of `coffer check`.
#[derive(Args)]
pub(super) struct Check {
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Ask Redis and the bucket too; writes and removes a few small objects under probe/
    #[arg(long)]
    probe: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    ok: bool,
    findings: &'a [Finding],
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<Abilities>,
}

impl Check {
    pub(super) fn run(&self, env_file: Option<&Path>) -> ExitCode {
        let (config, mut report) = settings::read(env_file);
        let mut bucket = None;
        if let Some(config) = config.filter(|_| self.probe) {
            let (abilities, mut asked) = probe::ask(&config);
            bucket = abilities;
            report.findings.append(&mut asked.findings);
            report.sort();
        }
        self.print(&report, bucket);
        if report.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn print(&self, report: &Report, bucket: Option<Abilities>) {
        if self.json {
            let answer = Answer { ok: !report.has_errors(), findings: &report.findings, bucket };
            let text = serde_json::to_string_pretty(&answer).expect("a report is plain texts");
            return terminal::say(text);
        }
        if let Some(bucket) = bucket {
            terminal::say(format_args!("The bucket {}.", described(bucket)));
        }
        terminal::say(format_args!("{report}{}", summary(report)));
    }
}

fn described(bucket: Abilities) -> String {
    let does =
        |ability: bool, what: &str| format!("{} {what}", if ability { "refuses" } else { "was not seen to refuse" });
    [
        does(bucket.refuses_wrong_bytes, "other bytes than the signed ones"),
        does(bucket.refuses_overwrite, "a second write where none may be"),
        does(bucket.refuses_wrong_part, "parts with a wrong tag"),
        checksum(bucket.part_checksum).to_owned(),
    ]
    .join(", ")
}

fn checksum(seen: PartChecksum) -> &'static str {
    match seen {
        PartChecksum::Unknown => "could not be asked about the checksums of parts",
        PartChecksum::Refused => "refuses parts with a SHA-256 (they are sent with Content-MD5)",
        PartChecksum::Ignored => "ignores the SHA-256 of parts (they are sent with Content-MD5)",
        PartChecksum::Enforced => "checks the SHA-256 of parts",
    }
}

fn summary(report: &Report) -> String {
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    match (errors, report.findings.len() - errors) {
        (0, 0) => "The settings are good.".to_owned(),
        (0, warnings) => format!("The settings will do; warnings: {warnings}."),
        (errors, warnings) => format!("The vault would not serve; errors: {errors}, warnings: {warnings}."),
    }
}
