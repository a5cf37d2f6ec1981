//! `coffer bucket`: whether pages of the app may use the bucket, and the rule that lets them.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{settings, terminal};
use crate::config::{Config, Finding, Report};
use crate::store::probe::{needs_no_rule, probe_pages};
use crate::store::{CorsRule, CorsRules, Store};

/// The variable that findings point at.
const VARIABLE: &str = "S3_PUBLIC_ENDPOINT";

/// The arguments of `coffer bucket`.
#[derive(Args)]
pub(super) struct Bucket {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Ask the bucket as a browser would, and say what its CORS rule lacks
    Check(Options),
    /// Set the bucket's CORS rule for the app, read it back and check it; where the service takes none, print it
    Protect(Options),
}

#[derive(Args)]
struct Options {
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Serialize)]
struct Outcome {
    ok: bool,
    /// Pages and bucket share an origin.
    same_origin: bool,
    findings: Vec<Finding>,
    /// What to set, where something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<CorsRules>,
}

impl Bucket {
    pub(super) fn run(&self, env_file: Option<&Path>) -> ExitCode {
        let config = match settings::require(env_file) {
            Ok(config) => config,
            Err(status) => return status,
        };
        let (Verb::Check(options) | Verb::Protect(options)) = &self.verb;
        match self.ask(&config) {
            Ok(outcome) => outcome.print(&config, options.json),
            Err(error) => {
                terminal::note(format_args!("coffer bucket: {error}"));
                ExitCode::FAILURE
            }
        }
    }

    fn ask(&self, config: &Config) -> io::Result<Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        if needs_no_rule(&config.store, &config.http.public_url) {
            return Ok(Outcome { ok: true, same_origin: true, findings: Vec::new(), rule: None });
        }
        Ok(runtime.block_on(async {
            match self.verb {
                Verb::Check(_) => check(config).await,
                Verb::Protect(_) => protect(config).await,
            }
        }))
    }
}

async fn check(config: &Config) -> Outcome {
    outcome(config, probe_pages(&config.store, &config.http.public_url).await.report)
}

/// Leaves the rules of other origins as they are. The bucket's word that it took the rule is not believed: pages are.
async fn protect(config: &Config) -> Outcome {
    let store = Store::new(&config.store, None);
    let (rule, mut report) = (rule(config), Report::default());
    let hint = "set the rule below with the service's own tools";
    let rules = match store.cors_rules().await {
        Ok(rules) => rules.with(rule.clone()),
        Err(error) => {
            report.error(VARIABLE, format!("its CORS rules can't be read: {error}"), hint);
            return outcome(config, report);
        }
    };
    if let Err(error) = store.set_cors_rules(&rules).await {
        report.error(VARIABLE, format!("it does not take a CORS rule: {error}"), hint);
        return outcome(config, report);
    }
    let is_kept = |rules: CorsRules| rules.rules.iter().any(|kept| kept.allowed_origins == rule.allowed_origins);
    if !store.cors_rules().await.is_ok_and(is_kept) {
        report.error(VARIABLE, "it took the CORS rule and does not list it", hint);
    }
    report.findings.extend(probe_pages(&config.store, &config.http.public_url).await.report.findings);
    outcome(config, report)
}

fn rule(config: &Config) -> CorsRule {
    CorsRule::for_app(&config.http.public_url.origin().ascii_serialization())
}

fn outcome(config: &Config, mut report: Report) -> Outcome {
    report.sort();
    let ok = report.findings.is_empty();
    let rule = (!ok).then(|| CorsRules::default().with(rule(config)));
    Outcome { ok, same_origin: false, findings: report.findings, rule }
}

impl Outcome {
    fn print(self, config: &Config, json: bool) -> ExitCode {
        let status = if self.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        if json {
            terminal::say(pretty(&self));
            return status;
        }
        let origin = config.http.public_url.origin().ascii_serialization();
        match (self.same_origin, &self.rule) {
            (true, _) => terminal::say("The bucket is on the app's own origin: its pages need no rule."),
            (false, None) => terminal::say(format_args!("Pages of {origin} may use the bucket.")),
            (false, Some(rule)) => {
                terminal::say(format_args!(
                    "{}The rule to set:\n{}",
                    Report { findings: self.findings.clone() },
                    pretty(rule)
                ));
            }
        }
        status
    }
}

fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("rules and findings are plain texts")
}
