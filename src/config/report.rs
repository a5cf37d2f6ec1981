//! What a check of the settings found. A finding names the variable, never its value.

use std::fmt;

use serde::Serialize;

/// Whether the vault may start in spite of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The vault does not start.
    Error,
    /// The vault starts; the operator should know.
    Warning,
}

/// One thing that is wrong with one variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Whether it stops the start.
    pub severity: Severity,
    /// The variable's name.
    pub variable: String,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
}

/// All findings of one check: errors first, then by variable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Sorted and without duplicates once [`super::load`] returned it.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether anything here stops the start.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Adds an error. Neither text may hold a value.
    pub fn error(&mut self, variable: &str, reason: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Error, variable, reason.into(), hint.into());
    }

    /// Adds a warning. Neither text may hold a value.
    pub fn warning(&mut self, variable: &str, reason: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Warning, variable, reason.into(), hint.into());
    }

    /// Puts the findings into the order in which they are shown.
    pub fn sort(&mut self) {
        self.findings.sort();
        self.findings.dedup();
    }

    fn add(&mut self, severity: Severity, variable: &str, reason: String, hint: String) {
        self.findings.push(Finding { severity, variable: variable.to_owned(), reason, hint });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let label = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            writeln!(f, "{label:7} {}: {}\n        {}", finding.variable, finding.reason, finding.hint)?;
        }
        Ok(())
    }
}
