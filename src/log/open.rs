//! Taking over: marker, load, judgement, and the first entry of the term.
//!
//! The first entry comes before anything is served. It fixes the head in this writer's epoch, so that a late entry of an
//! earlier writer can only become a fork, and it carries what the take-over found: trust, a lost Redis, the owner's answer
//! to an alarm, what is forgotten, and the machine's own operations.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use tracing::{info, warn};

use super::anchor::{Anchor, AnchorFile};
use super::chain::{Hash, NO_ENTRY};
use super::commit::{EntryWriter, StepDown};
use super::entry::{Commit, Envelope, Operation, WRITER_VERSION, assemble};
use super::freshness::{Verdict, acceptance, judge, newest};
use super::handle::{Shared, Status};
use super::index::Index;
use super::load::{LoadError, Loaded, Memories, load};
use super::name::Place;
use super::own::OwnOperation;
use super::tenure::{Contest, Lease, Tenure};
use super::{CommitMeta, LogParts, Machine, Takeover};

/// How many objects an alarm names.
const NAMED: usize = 3;
/// Milliseconds in a day.
const DAY_MS: u64 = 86_400_000;

/// How a take-over ended.
pub(crate) enum Opening<M: Machine> {
    /// This process is the writer and may serve.
    Open {
        /// The term.
        tenure: Tenure,
        /// The state, the first entry included.
        index: Index<M>,
        /// What was found.
        takeover: Takeover,
        /// Redis's anchor now.
        in_redis: Option<Vec<u8>>,
    },
    /// An alarm: the state may be read.
    ReadOnly {
        /// The state as far as it is whole.
        index: Index<M>,
        /// Why.
        reason: String,
        /// The owner's way on.
        accept: Option<String>,
    },
    /// Try again later.
    Again(String),
    /// Nothing can be served.
    Refused(String),
}

/// What one process remembers from term to term.
#[derive(Default)]
pub(crate) struct Recollection {
    /// Its newest acknowledged entry.
    pub(crate) anchor: Option<Anchor>,
    /// The highest epoch it has seen anywhere.
    pub(crate) epoch: u64,
}

/// Takes over. Nothing is served meanwhile.
pub(crate) async fn open<M: Machine>(
    parts: &LogParts,
    shared: &Arc<Shared<M>>,
    lease: &Lease,
    recollection: &mut Recollection,
) -> Opening<M> {
    match attempt(parts, shared, lease, recollection).await {
        Ok(opening) => opening,
        Err(LoadError::Refused(reason)) => Opening::Refused(reason),
        Err(error) => Opening::Again(error.to_string()),
    }
}

async fn attempt<M: Machine>(
    parts: &LogParts,
    shared: &Arc<Shared<M>>,
    lease: &Lease,
    recollection: &mut Recollection,
) -> Result<Opening<M>, LoadError> {
    shared.set(Status::Loading { entries_done: 0, entries_total: 0 });
    let file = anchor_file::<M>(parts);
    let memories = Memories::ask(parts, M::NAME, recollection.anchor.as_ref(), file.as_ref()).await?;
    let known = newest(&memories.all).map_or(0, |anchor| anchor.place.term.epoch);
    recollection.epoch = recollection.epoch.max(known);
    let tenure = match Tenure::claim(parts, lease, recollection.epoch).await {
        Ok(tenure) => tenure,
        Err(Contest::Outranked(term)) => {
            recollection.epoch = recollection.epoch.max(term.epoch);
            return Ok(Opening::Again(format!("another writer took over: {term}")));
        }
        Err(Contest::Unlisted) => return Ok(Opening::Again("the bucket does not list the marker just written".into())),
        Err(Contest::Store(error)) => return Err(error.into()),
    };
    let progress = |entries_done, entries_total| shared.set(Status::Loading { entries_done, entries_total });
    let loaded = load::<M>(parts, &memories, progress).await?;
    let head_term = loaded.chain.as_ref().map(|chain| chain.head.term);
    if head_term.is_some_and(|head| head >= tenure.term) {
        recollection.epoch = recollection.epoch.max(head_term.map_or(0, |head| head.epoch));
        return Ok(Opening::Again("the log has entries of a later epoch than any marker".into()));
    }
    let found = Finding::of(parts, &memories, &tenure, &loaded);
    if let Some(reason) = found.alarm.filter(|_| !found.is_accepted) {
        let accept = Some(found.accept);
        return Ok(Opening::ReadOnly { index: loaded.index, reason, accept });
    }
    let own = found.own;
    let takeover = Takeover {
        term: tenure.term,
        redis_was_lost: found.redis_was_lost,
        trusted_first_load: found.trusted,
        forks: loaded.forks,
        notices: [loaded.notices, found.notices].concat(),
    };
    report(&takeover, loaded.chain.is_some());
    let anchor = &mut recollection.anchor;
    let in_redis = memories.in_redis;
    let mut writer = EntryWriter { parts, lease, tenure: &tenure, in_redis, file: file.as_ref(), own: anchor };
    match first_entry(&mut writer, loaded.index, own, &takeover).await {
        Ok(index) => {
            let in_redis = writer.in_redis.take();
            Ok(Opening::Open { tenure, index, takeover, in_redis })
        }
        Err(StepDown(reason)) => Ok(Opening::Again(reason)),
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
        let Some(chain) = &loaded.chain else {
            let own = vec![OwnOperation::Opened { trusted_first_load: true, redis_was_lost: false }];
            let accept = String::new();
            let (trusted, redis_was_lost, is_accepted) = (true, false, false);
            return Self { alarm: None, accept, is_accepted, trusted, redis_was_lost, own, notices: vec![] };
        };
        let book = &loaded.index.book;
        let judgement = judge(&memories.all, chain, book.forgotten_up_to);
        let beyond: Vec<Place> =
            chain.passed_over.iter().filter(|place| !book.passed_over.contains(place)).copied().collect();
        let mut reasons = match judgement.verdict {
            Verdict::Alarm(ref reasons) => reasons.clone(),
            Verdict::Proven | Verdict::Trusted => vec![],
        };
        if !beyond.is_empty() {
            reasons.push(beyond_the_head(&beyond));
        }
        let digest = acceptance(&memories.all, &loaded.index.head_hash());
        let accept = format!("{}:{}", M::NAME, HEXLOWER.encode(&digest));
        let alarm = (!reasons.is_empty()).then(|| reasons.join("; "));
        let is_accepted = alarm.is_some() && parts.config.accept_head.as_ref() == Some(&accept);
        let trusted = judgement.verdict == Verdict::Trusted;
        let redis_was_lost = memories.redis_is_behind(chain.head.seq);
        let mut own = vec![OwnOperation::Opened { trusted_first_load: trusted, redis_was_lost }];
        if let Some(reason) = alarm.clone().filter(|_| is_accepted) {
            warn!(%accept, %reason, "the owner accepts the log as it is");
            let opening = Place { term: tenure.term, seq: loaded.index.next_seq() };
            let passed_over = beyond.into_iter().filter(|place| *place > opening).collect();
            own.push(OwnOperation::Accepted { digest, reason, passed_over });
        }
        let retention_ms = retention_ms(parts);
        let up_to = book.forgettable(parts.clock.now_ms(), retention_ms);
        if up_to.is_some() || !tenure.earlier.is_empty() {
            own.push(OwnOperation::Forgotten { up_to, markers: tenure.earlier.clone() });
        }
        Self { alarm, accept, is_accepted, trusted, redis_was_lost, own, notices: judgement.notices }
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

async fn first_entry<M: Machine>(
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
