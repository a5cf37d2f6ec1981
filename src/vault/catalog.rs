//! The catalog: the whole state of the tree, and the machine that the sealed log drives.
//!
//! Everything in it follows from the operations applied to it. Each applies whole or not at all, and everything applied
//! since [`Machine::begin`] can be taken back: every change goes through a `put_*` below, which replaces one value and
//! notes the one before. Two catalogs with the same operations behind them give the same snapshot, byte for byte.

use super::{
    answers::{Answer, Answers},
    id::NodeId,
    index::Index,
    node::Node,
    operation::Operation,
    retired::{Fate, Retired},
    settings::{SettingValue, Settings},
};
use crate::crypto::BlobId;
use crate::log::{CommitMeta, Inconsistent, Machine, Stamp, Takeover};

/// The state of the tree.
pub struct Catalog {
    pub(super) index: Index,
    pub(super) retired: Retired,
    pub(super) answers: Answers,
    pub(super) marks: Marks,
    pub(super) settings: Settings,
    undo: Vec<Change>,
    savepoints: Vec<usize>,
}

/// Single numbers of the catalog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Sessions of an earlier epoch are void.
    pub(super) session_epoch: u64,
    /// The last entry that purged something: the vault can't be restored to a moment before it.
    pub(super) restore_floor: u64,
}

/// What was before a change.
enum Change {
    Node(NodeId, Option<Box<Node>>),
    Blob(BlobId, Option<Fate>),
    Answer([u8; 32], Option<Answer>),
    Marks(Marks),
    Setting(String, Option<SettingValue>),
}

impl Machine for Catalog {
    const NAME: &'static str = "catalog";
    const NUMBER: u8 = 1;
    type Operation = Operation;

    fn empty() -> Self {
        Self {
            index: Index::new(),
            retired: Retired::default(),
            answers: Answers::default(),
            marks: Marks::default(),
            settings: Settings::default(),
            undo: Vec::new(),
            savepoints: Vec::new(),
        }
    }

    fn apply(&mut self, stamp: &Stamp, _: &CommitMeta, operation: &Operation) -> Result<(), Inconsistent> {
        self.begin();
        let done = self.perform(stamp, operation);
        match done {
            Ok(()) => self.keep(),
            Err(_) => self.rollback(),
        }
        done
    }

    fn begin(&mut self) {
        self.savepoints.push(self.undo.len());
    }

    fn rollback(&mut self) {
        let mark = self.savepoints.pop().unwrap_or_default();
        for change in self.undo.drain(mark..).rev() {
            match change {
                Change::Node(id, node) => _ = self.index.replace(id, node.map(|node| *node)),
                Change::Blob(blob, fate) => _ = self.retired.replace(blob, fate),
                Change::Answer(key, answer) => _ = self.answers.replace(key, answer),
                Change::Marks(marks) => self.marks = marks,
                Change::Setting(key, value) => _ = self.settings.replace(&key, value),
            }
        }
    }

    /// What was applied since [`Machine::begin`] stays, unless an outer savepoint takes it back.
    fn keep(&mut self) {
        self.savepoints.pop();
        if self.savepoints.is_empty() {
            self.undo.clear();
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        super::snapshot::write(self)
    }

    fn restore(bytes: &[u8]) -> Result<Self, Inconsistent> {
        super::snapshot::read(bytes)
    }

    /// Sessions that were revoked in a Redis that is lost must not come back with an older copy of it.
    fn on_takeover(&self, takeover: &Takeover, at_ms: u64) -> Vec<Operation> {
        if takeover.redis_was_lost { vec![self.raise_session_epoch(at_ms)] } else { Vec::new() }
    }
}

impl Catalog {
    /// Puts a node in the place of another; see [`Index::replace`] for what the caller **must** see to.
    pub(super) fn put_node(&mut self, id: NodeId, node: Option<Node>) {
        let old = self.index.replace(id, node);
        self.note(Change::Node(id, old.map(Box::new)));
    }

    /// Sets the fate of a blob.
    pub(super) fn put_fate(&mut self, blob: BlobId, fate: Fate) {
        let old = self.retired.replace(blob, Some(fate));
        self.note(Change::Blob(blob, old));
    }

    /// Sets or takes away an answer.
    pub(super) fn put_answer(&mut self, key: [u8; 32], answer: Option<Answer>) {
        let old = self.answers.replace(key, answer);
        self.note(Change::Answer(key, old));
    }

    /// Sets or takes away a setting.
    pub(super) fn put_setting(&mut self, key: &str, value: Option<SettingValue>) {
        let old = self.settings.replace(key, value);
        self.note(Change::Setting(key.to_owned(), old));
    }

    /// Sets the numbers.
    pub(super) fn put_marks(&mut self, marks: Marks) {
        let old = std::mem::replace(&mut self.marks, marks);
        self.note(Change::Marks(old));
    }

    /// The operation that voids every session. The time is part of the epoch, so that it rises even where the log was
    /// taken back to an older head.
    pub(super) fn raise_session_epoch(&self, at_ms: u64) -> Operation {
        Operation::RaiseSessionEpoch { epoch: at_ms.max(self.marks.session_epoch + 1) }
    }

    fn note(&mut self, change: Change) {
        if !self.savepoints.is_empty() {
            self.undo.push(change);
        }
    }
}
