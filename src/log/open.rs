//! Taking over: marker, load, judgement, and the first entry of the term.
//!
//! The first entry comes before anything is served. It fixes the head in this writer's epoch, so that a late entry of an
//! earlier writer can only become a fork, and it carries what the take-over found: trust, a lost Redis, the owner's answer
//! to an alarm, what is forgotten, and the machine's own operations.

use data_encoding::HEXLOWER;
use tracing::{info, warn};

use super::anchor::AnchorFile;
use super::chain::{Hash, NO_ENTRY};
use super::commit::{EntryWriter, StepDown};
use super::entry::{Commit, Envelope, Operation, WRITER_VERSION, assemble};
use super::freshness::{Verdict, acceptance, judge};
use super::index::Index;
use super::load::{Loaded, Memories, Rank, load};
use super::name::{Place, Term};
use super::office::Setback;
use super::own::OwnOperation;
use super::tenure::Tenure;
use super::{CommitMeta, LogParts, Machine, Takeover};

/// How many objects an alarm names.
const NAMED: usize = 3;
/// Milliseconds in a day.
pub(crate) const DAY_MS: u64 = 86_400_000;

/// A log that was loaded, and what its memories say about it.
pub(crate) struct Judged<M> {
    loaded: Loaded<M>,
    memories: Memories,
    found: Finding,
    /// Markers of earlier terms, which the first log names.
    earlier: Vec<Term>,
}

/// What the first entry is made of: the state before it, the log's own operations, what was found, Redis's anchor, and
/// the markers that it names.
type Opening<M> = (Index<M>, Vec<OwnOperation>, Takeover, Option<Vec<u8>>, Vec<Term>);

impl<M: Machine> Judged<M> {
    /// Loads the log under a marker that was put before.
    pub(crate) async fn load(
        parts: &LogParts,
        memories: Memories,
        tenure: &Tenure,
        rank: Rank<'_>,
        kept_from: u64,
        progress: impl Fn(u64, u64),
    ) -> Result<Self, Setback> {
        let loaded = load::<M>(parts, &memories, rank, progress).await?;
        let head_term = loaded.chain.as_ref().map(|chain| chain.head.term);
        if let Some(head) = head_term.filter(|head| *head >= tenure.term) {
            let reason = "the log has entries of a later epoch than any marker".to_owned();
            return Err(Setback::Outranked(head.epoch, reason));
        }
        let earlier = if matches!(rank, Rank::First) { tenure.earlier.clone() } else { Vec::new() };
        let mut found = Finding::of(parts, &memories, tenure, &loaded);
        let up_to = loaded.index.book.forgettable(parts.clock.now_ms(), retention_ms(parts), kept_from);
        if up_to.is_some() || !earlier.is_empty() {
            found.own.push(OwnOperation::Forgotten { up_to, markers: earlier.clone() });
        }
        Ok(Self { loaded, memories, found, earlier })
    }

    /// The logs that this one knows to have been begun.
    pub(crate) fn begun(&self) -> Vec<String> {
        self.loaded.index.book.begun.clone()
    }

    /// Why the log may only be read, and the owner's way on, unless that was taken.
    pub(crate) fn alarm(&self) -> Option<(String, String)> {
        let reason = self.found.alarm.clone().filter(|_| !self.found.is_accepted)?;
        Some((reason, self.found.accept.clone()))
    }

    /// The state as far as it is whole.
    pub(crate) fn into_index(self) -> Index<M> {
        self.loaded.index
    }

    /// What it takes to begin the term, in which the logs `begun` are noted.
    pub(crate) fn into_parts(self, term: Term, begun: &[String]) -> Opening<M> {
        let Self { loaded, memories, found, earlier } = self;
        let takeover = Takeover {
            term,
            first_seq: loaded.index.next_seq(),
            redis_was_lost: found.redis_was_lost,
            trusted_first_load: found.trusted,
            accepted: found.alarm,
            forks: loaded.forks,
            notices: [loaded.notices, found.notices].concat(),
        };
        report(&takeover, loaded.chain.is_some());
        let mut own = found.own;
        own.extend(begun.iter().map(|log| OwnOperation::Begun { log: log.clone() }));
        (loaded.index, own, takeover, memories.in_redis, earlier)
    }
}

/// The anchor's file, if there is a folder for it.
pub(crate) fn anchor_file<M: Machine>(parts: &LogParts) -> Option<AnchorFile> {
    let state_dir = parts.config.state_dir.as_deref()?;
    Some(AnchorFile::new(state_dir, parts.keys.vault_id(), M::NAME))
}

/// What the log's memories say about what was loaded.
struct Finding {
    alarm: Option<String>,
    accept: String,
    is_accepted: bool,
    trusted: bool,
    redis_was_lost: bool,
    own: Vec<OwnOperation>,
    notices: Vec<String>,
}

impl Finding {
    fn of<M: Machine>(parts: &LogParts, memories: &Memories, tenure: &Tenure, loaded: &Loaded<M>) -> Self {
        let book = &loaded.index.book;
        let mut beyond: Vec<Place> = Vec::new();
        let (mut reasons, trusted, redis_was_lost, notices) = match &loaded.chain {
            None => (loaded.hollow.iter().cloned().collect(), loaded.hollow.is_none(), false, vec![]),
            Some(chain) => {
                let judgement = judge(&memories.all, chain, book.forgotten_up_to);
                beyond.extend(chain.passed_over.iter().filter(|place| !book.passed_over.contains(place)));
                let reasons = match judgement.verdict {
                    Verdict::Alarm(ref reasons) => reasons.clone(),
                    Verdict::Proven | Verdict::Trusted => vec![],
                };
                let trusted = judgement.verdict == Verdict::Trusted;
                (reasons, trusted, memories.redis_is_behind(chain.head.seq), judgement.notices)
            }
        };
        if !beyond.is_empty() {
            reasons.push(beyond_the_head(&beyond));
        }
        let digest = acceptance(&memories.all, &loaded.index.head_hash());
        let accept = format!("{}:{}", M::NAME, HEXLOWER.encode(&digest));
        let alarm = (!reasons.is_empty()).then(|| reasons.join("; "));
        let mut answers = parts.config.accept_head.as_deref().unwrap_or_default().split(',');
        let is_accepted = alarm.is_some() && answers.any(|answer| answer == accept);
        let mut own = vec![OwnOperation::Opened { trusted_first_load: trusted, redis_was_lost }];
        if let Some(reason) = alarm.clone().filter(|_| is_accepted) {
            warn!(%accept, %reason, "the owner accepts the log as it is");
            let opening = Place { term: tenure.term, seq: loaded.index.next_seq() };
            let passed_over = beyond.into_iter().filter(|place| *place > opening).collect();
            own.push(OwnOperation::Accepted { digest, reason, passed_over });
        }
        Self { alarm, accept, is_accepted, trusted, redis_was_lost, own, notices }
    }
}

/// How long entries are kept at least.
pub(crate) fn retention_ms(parts: &LogParts) -> u64 {
    u64::from(parts.config.retention_days) * DAY_MS
}

fn beyond_the_head(beyond: &[Place]) -> String {
    let named: Vec<String> = beyond.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if beyond.len() > NAMED { ", ..." } else { "" };
    format!("{} entries do not open or lack an ancestor ({}{more})", beyond.len(), named.join(", "))
}

fn report(takeover: &Takeover, has_entries: bool) {
    if takeover.trusted_first_load && has_entries {
        warn!("no anchor is known anywhere: the log is taken on trust, an older copy could not be told from it");
    }
    if takeover.redis_was_lost {
        warn!("Redis was lost, emptied or set back: its anchor is gone or old");
    }
    for fork in &takeover.forks {
        info!(entry = %fork, "an entry lies beside the chain: a write of a replaced writer that was not acknowledged");
    }
    for notice in &takeover.notices {
        warn!("{notice}");
    }
}

/// Writes the term's first entry and applies it.
pub(crate) async fn first_entry<M: Machine>(
    writer: &mut EntryWriter<'_>,
    mut index: Index<M>,
    own: Vec<OwnOperation>,
    takeover: &Takeover,
) -> Result<Index<M>, StepDown> {
    let at_ms = writer.parts.clock.now_ms().max(index.at_ms);
    let meta = |actor: &str| CommitMeta { actor: actor.to_owned(), ..CommitMeta::default() };
    let mut commits = vec![Commit::new(meta("log"), own.into_iter().map(Operation::Own).collect())];
    let operations = index.machine.on_takeover(takeover, at_ms);
    if !operations.is_empty() {
        commits.push(Commit::new(meta("vault"), operations.into_iter().map(Operation::Machine).collect()));
    }
    let body = assemble(at_ms, &commits.iter().map(Commit::encode).collect::<Vec<_>>());
    let prev: Hash = if index.next_seq() == 0 { NO_ENTRY } else { index.head_hash() };
    let written = writer.write::<M>(index.next_seq(), &prev, &body).await?;
    let envelope = Envelope { version: WRITER_VERSION.to_owned(), at_ms, commits };
    let applied = index.apply(&written, envelope);
    applied.map_err(|error| StepDown(format!("the first entry does not apply: {error}")))?;
    Ok(index)
}
