//! The word that a session is over, for what goes on after its request was authenticated.
//!
//! One process serves a vault, so a signal within it reaches every stream. Signals only make an end sooner: whether a
//! request is let in is decided by Redis alone.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::SessionId;

/// Given once, to everything that the session's requests left going on.
#[derive(Clone, Debug)]
pub(super) struct Signal(Arc<CancellationToken>);

impl Signal {
    pub(super) async fn given(&self) {
        self.0.cancelled().await;
    }
}

pub(super) struct Signals {
    held: Mutex<HashMap<SessionId, Weak<CancellationToken>>>,
    /// How many entries there may be before those that nobody holds any more are swept out.
    sweep_at: usize,
}

impl Signals {
    pub(super) fn new(max_sessions: usize) -> Self {
        Self { held: Mutex::default(), sweep_at: max_sessions.saturating_mul(2).max(64) }
    }

    /// The signal of a session, which lives as long as anyone holds it.
    pub(super) fn of(&self, id: SessionId) -> Signal {
        let mut held = self.held.lock();
        if let Some(token) = held.get(&id).and_then(Weak::upgrade) {
            return Signal(token);
        }
        if held.len() >= self.sweep_at {
            held.retain(|_, token| token.strong_count() > 0);
        }
        let token = Arc::new(CancellationToken::new());
        held.insert(id, Arc::downgrade(&token));
        Signal(token)
    }

    /// A session goes on under another name, and so does what it left going on.
    pub(super) fn rename(&self, id: SessionId, to: SessionId) {
        let mut held = self.held.lock();
        if let Some(token) = held.remove(&id) {
            held.insert(to, token);
        }
    }

    /// Gives one session's signal.
    pub(super) fn give(&self, id: SessionId) {
        let token = self.held.lock().remove(&id);
        if let Some(token) = token.and_then(|token| token.upgrade()) {
            token.cancel();
        }
    }

    /// Gives every session's signal, but that of `except`.
    pub(super) fn give_all(&self, except: Option<SessionId>) {
        let given: Vec<_> = self.held.lock().extract_if(|id, _| Some(*id) != except).collect();
        for token in given.iter().filter_map(|(_, token)| token.upgrade()) {
            token.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> SessionId {
        SessionId::of(&[number; 32])
    }

    #[test]
    fn a_signal_reaches_its_session_and_no_other() {
        let signals = Signals::new(9);
        let (one, again, two) = (signals.of(id(1)), signals.of(id(1)), signals.of(id(2)));
        signals.give(id(1));
        assert!(one.0.is_cancelled() && again.0.is_cancelled() && !two.0.is_cancelled());
        assert!(!signals.of(id(1)).0.is_cancelled(), "a later request is decided by its record");
        let three = signals.of(id(3));
        signals.give_all(Some(id(3)));
        assert!(two.0.is_cancelled() && !three.0.is_cancelled());
        signals.give_all(None);
        assert!(three.0.is_cancelled());
    }

    #[test]
    fn a_signal_follows_its_session_to_another_name() {
        let signals = Signals::new(9);
        let signal = signals.of(id(1));
        signals.rename(id(1), id(2));
        signals.give(id(1));
        assert!(!signal.0.is_cancelled());
        signals.give(id(2));
        assert!(signal.0.is_cancelled());
    }

    #[test]
    fn signals_that_nobody_holds_do_not_pile_up() {
        let signals = Signals::new(100);
        let held = signals.of(id(0));
        for number in 0..10_000_u64 {
            let mut secret = [0; 32];
            secret[..8].copy_from_slice(&number.to_be_bytes());
            drop(signals.of(SessionId::of(&secret)));
        }
        assert!(signals.held.lock().len() <= 200);
        signals.give(id(0));
        assert!(held.0.is_cancelled());
    }
}
