//! Places for sessions: which ones give way to another.

use super::SessionId;
use super::record::{Record, SessionView};

/// Logins that may owe a second factor at one time, beside the sessions.
pub(super) const MAX_UNFINISHED: usize = 8;

/// What the table holds.
pub(super) struct Sorted {
    /// The living sessions, the most recently used first.
    pub(super) living: Vec<SessionView>,
    /// The fields of all that are over.
    pub(super) over: Vec<String>,
}

impl Sorted {
    /// The sessions that give way to that record: the least recently used ones of its kind. Unfinished logins have places
    /// of their own, so that somebody who knows the password alone can't push the owner out.
    pub(super) fn pushed_out(&self, record: &Record, max_sessions: usize) -> Vec<SessionId> {
        let places = if record.unfinished { MAX_UNFINISHED } else { max_sessions };
        let alike = self.living.iter().filter(|view| view.unfinished == record.unfinished);
        alike.skip(places - 1).map(|view| view.id).collect()
    }
}
