//! The one table of who may do what: a row for each operation of the API.
//!
//! Whatever lets a request in asks here, whichever protocol it came by, and an operation without a row is nobody's. A
//! row says who may call the operation, what it counts as, and whether the owner must have proved themselves lately.
//! `docs/security.md` shows the same table, and tests hold that both, and the described operations, are one.
//! It deliberately does not know how a caller is recognised.

use http::Method;

use super::PREFIX;

/// What one operation asks of its callers.
#[derive(Debug, PartialEq, Eq)]
pub struct Policy {
    /// The method; `HEAD` is asked as `GET` where it has no row of its own.
    pub method: &'static str,
    /// The path below [`PREFIX`], with `{name}` for each parameter.
    pub path: &'static str,
    /// Who may.
    pub access: Access,
    /// What it counts as.
    pub class: Class,
    /// Whether the owner must have shown a password, a code or a passkey in the last minutes.
    pub step_up: bool,
}

impl Policy {
    /// Whether its callers must have a session before anything else is looked at.
    pub fn needs_session(&self) -> bool {
        !matches!(self.access, Access::Open | Access::Ticket)
    }
}

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// Whoever has the URL: the secret in it is checked by the operation, and lends a session.
    Ticket,
    /// Any session of the owner, also one that still owes a second factor.
    Session,
    /// The owner's active session, and one that must enrol a second factor before anything else; never a token.
    Enrolment,
    /// The owner's active session, and a token with this scope.
    Scope(Scope),
    /// The owner's active session alone, never a token.
    OwnerOnly,
}

/// What a token may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// To look at nodes and their content.
    Read,
    /// To change nodes.
    Write,
    /// To bring new content.
    Upload,
    /// To share.
    Share,
    /// To read the audit trail.
    Audit,
}

/// What a request counts as, when requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It may check a secret: the budget for secrets bounds it, and nothing that strangers can use up does.
    Auth,
    /// Any other request.
    Api,
    /// It begins to bring content.
    Upload,
    /// It is not counted: health must answer when nothing else does.
    None,
}

use Access::{Enrolment, Open, OwnerOnly, Session, Ticket};
use Scope::{Read, Upload, Write};

const TABLE: &[Policy] = &[
    row("POST", "/session", Open, Class::Auth),
    row("GET", "/session", Session, Class::Api),
    row("DELETE", "/session", Session, Class::Api),
    row("POST", "/session/passkey/options", Open, Class::Auth),
    row("POST", "/session/passkey", Open, Class::Auth),
    row("POST", "/session/mfa", Session, Class::Auth),
    row("POST", "/session/step-up", OwnerOnly, Class::Auth),
    row("POST", "/session/step-up/options", Session, Class::Api),
    row("GET", "/mfa", Enrolment, Class::Api),
    fresh("POST", "/mfa/totp", Enrolment, Class::Api),
    fresh("POST", "/mfa/totp/confirm", Enrolment, Class::Auth),
    fresh("DELETE", "/mfa/totp", OwnerOnly, Class::Api),
    fresh("POST", "/mfa/recovery-codes", OwnerOnly, Class::Api),
    row("GET", "/passkeys", Enrolment, Class::Api),
    fresh("POST", "/passkeys", Enrolment, Class::Auth),
    fresh("POST", "/passkeys/options", Enrolment, Class::Api),
    fresh("PATCH", "/passkeys/{id}", OwnerOnly, Class::Api),
    fresh("DELETE", "/passkeys/{id}", OwnerOnly, Class::Api),
    row("GET", "/sessions", OwnerOnly, Class::Api),
    fresh("DELETE", "/sessions", OwnerOnly, Class::Api),
    row("DELETE", "/sessions/{id}", OwnerOnly, Class::Api),
    row("GET", "/tokens", OwnerOnly, Class::Api),
    fresh("POST", "/tokens", OwnerOnly, Class::Api),
    row("DELETE", "/tokens/{id}", OwnerOnly, Class::Api),
    row("GET", "/nodes/{id}", Access::Scope(Read), Class::Api),
    row("PATCH", "/nodes/{id}", Access::Scope(Write), Class::Api),
    row("DELETE", "/nodes/{id}", Access::Scope(Write), Class::Api),
    row("GET", "/nodes/{id}/path", Access::Scope(Read), Class::Api),
    row("POST", "/nodes/{id}/copy", Access::Scope(Write), Class::Api),
    row("GET", "/nodes/{id}/children", Access::Scope(Read), Class::Api),
    row("POST", "/nodes/{id}/restore", Access::Scope(Write), Class::Api),
    row("POST", "/folders", Access::Scope(Write), Class::Api),
    row("POST", "/folders/{id}/files", Access::Scope(Upload), Class::Upload),
    row("GET", "/files/{id}/content", Access::Scope(Read), Class::Api),
    row("HEAD", "/files/{id}/content", Access::Scope(Read), Class::Api),
    row("PUT", "/files/{id}/content", Access::Scope(Write), Class::Upload),
    row("POST", "/files/{id}/grant", Access::Scope(Read), Class::Api),
    row("POST", "/files/{id}/ticket", Access::Scope(Read), Class::Api),
    row("GET", "/files/{id}/versions", Access::Scope(Read), Class::Api),
    row("POST", "/files/{id}/versions/{version}/restore", Access::Scope(Write), Class::Api),
    fresh("DELETE", "/files/{id}/versions/{version}", OwnerOnly, Class::Api),
    row("GET", "/tickets/{ticket}", Ticket, Class::Api),
    row("HEAD", "/tickets/{ticket}", Ticket, Class::Api),
    row("GET", "/uploads", Access::Scope(Upload), Class::Api),
    row("POST", "/uploads", Access::Scope(Upload), Class::Upload),
    row("GET", "/uploads/{id}", Access::Scope(Upload), Class::Api),
    row("DELETE", "/uploads/{id}", Access::Scope(Upload), Class::Api),
    row("POST", "/uploads/{id}/parts", Access::Scope(Upload), Class::Api),
    row("POST", "/uploads/{id}/parts/confirm", Access::Scope(Upload), Class::Api),
    row("POST", "/uploads/{id}/complete", Access::Scope(Upload), Class::Api),
    row("GET", "/events", Access::Scope(Read), Class::Api),
    row("GET", "/trash", Access::Scope(Read), Class::Api),
    fresh("DELETE", "/trash", OwnerOnly, Class::Api),
    fresh("DELETE", "/trash/{id}", OwnerOnly, Class::Api),
    fresh("POST", "/trash/delete", OwnerOnly, Class::Api),
    row("POST", "/bulk", Access::Scope(Write), Class::Api),
    row("GET", "/search", Access::Scope(Read), Class::Api),
    row("GET", "/recent", Access::Scope(Read), Class::Api),
    row("GET", "/starred", Access::Scope(Read), Class::Api),
    row("GET", "/storage", Access::Scope(Read), Class::Api),
    row("GET", "/health/live", Open, Class::None),
    row("GET", "/health/ready", Open, Class::None),
];

/// Every row, in the order of the documentation.
pub fn table() -> &'static [Policy] {
    TABLE
}

/// The row of a request for this whole path; `None` where the API has no such operation.
pub fn of(method: &Method, path: &str) -> Option<&'static Policy> {
    let path = path.strip_prefix(PREFIX)?;
    let find = |method: &str| {
        let rows = TABLE.iter().filter(|row| row.method == method && matches(row.path, path));
        // A segment that is written out is nobody's parameter.
        rows.min_by_key(|row| parameters(row.path))
    };
    find(method.as_str()).or_else(|| (*method == Method::HEAD).then(|| find("GET")).flatten())
}

const fn row(method: &'static str, path: &'static str, access: Access, class: Class) -> Policy {
    Policy { method, path, access, class, step_up: false }
}

const fn fresh(method: &'static str, path: &'static str, access: Access, class: Class) -> Policy {
    Policy { method, path, access, class, step_up: true }
}

fn matches(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let fits = pattern.split('/').all(|wanted| {
        segments.next().is_some_and(|found| if wanted.starts_with('{') { !found.is_empty() } else { wanted == found })
    });
    fits && segments.next().is_none()
}

fn parameters(pattern: &str) -> usize {
    pattern.split('/').filter(|segment| segment.starts_with('{')).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::openapi;

    fn name(row: &Policy) -> String {
        format!("{} {}", row.method, row.path)
    }

    #[test]
    fn every_operation_has_one_row_and_every_row_an_operation() {
        let document: serde_json::Value = serde_json::from_str(&openapi::document()).unwrap();
        let described: BTreeSet<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let rows: BTreeSet<String> = table().iter().map(name).collect();
        assert_eq!(rows.len(), table().len(), "an operation has two rows");
        assert_eq!(rows, described);
    }

    /// The row as `docs/security.md` shows it.
    fn documented(row: &Policy) -> String {
        let access = match row.access {
            Access::Open => "anybody",
            Access::Ticket => "whoever has the ticket",
            Access::Session => "any session",
            Access::Scope(Scope::Read) => "session, scope read",
            Access::Scope(Scope::Write) => "session, scope write",
            Access::Scope(Scope::Upload) => "session, scope upload",
            Access::Scope(Scope::Share) => "session, scope share",
            Access::Scope(Scope::Audit) => "session, scope audit",
            Access::Enrolment => "session of the owner, or one that must enrol",
            Access::OwnerOnly => "session of the owner",
        };
        let class = match row.class {
            Class::Auth => "secrets",
            Class::Api => "requests",
            Class::Upload => "uploads",
            Class::None => "-",
        };
        let proof = if row.step_up { "fresh" } else { "" };
        format!("| `{} {}` | {access} | {class} | {proof} |", row.method, row.path)
    }

    #[test]
    fn the_documentation_shows_this_table() {
        let page = include_str!("../../docs/security.md");
        let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
        let is_row = |line: &&str| methods.iter().any(|method| line.starts_with(&format!("| `{method} /")));
        let shown: Vec<&str> = page.lines().filter(is_row).collect();
        let wanted: Vec<String> = table().iter().map(documented).collect();
        assert_eq!(shown, wanted, "docs/security.md must show:\n{}", wanted.join("\n"));
    }

    #[test]
    fn what_the_description_leaves_open_is_what_the_table_leaves_open() {
        let document: serde_json::Value = serde_json::from_str(&openapi::document()).unwrap();
        for row in table() {
            let operation = &document["paths"][row.path][row.method.to_lowercase()];
            assert_eq!(operation.get("security").is_some(), row.needs_session(), "{}", name(row));
        }
    }

    #[test]
    fn a_request_finds_its_row_and_no_other() {
        let found = |method: Method, path: &str| of(&method, path).map(name);
        for (method, path, expected) in [
            (Method::GET, "/api/v1/nodes/root", Some("GET /nodes/{id}")),
            (Method::HEAD, "/api/v1/nodes/root", Some("GET /nodes/{id}")),
            (Method::HEAD, "/api/v1/files/x/content", Some("HEAD /files/{id}/content")),
            (Method::DELETE, "/api/v1/files/x/versions/y", Some("DELETE /files/{id}/versions/{version}")),
            (Method::POST, "/api/v1/uploads/x/parts/confirm", Some("POST /uploads/{id}/parts/confirm")),
            (Method::POST, "/api/v1/nodes/root", None),
            (Method::HEAD, "/api/v1/folders", None),
            (Method::GET, "/api/v1/nodes/", None),
            (Method::GET, "/api/v1/nodes/root/", None),
            (Method::GET, "/api/v1/nodes", None),
            (Method::GET, "/nodes/root", None),
            (Method::GET, "/api/v1/%6eodes/root", None),
        ] {
            assert_eq!(found(method.clone(), path).as_deref(), expected, "{method} {path}");
        }
    }
}
