//! The office: one lease and one marker for all logs of a vault, and the writers' life in it.
//!
//! Its logs are wards. A term begins for all of them together: every memory is asked, one marker is put above every epoch
//! that any of them knows, all are loaded after it, and each writes its first entry before any is served. A term ends for
//! all of them together: the first ward that must step down forsakes the lease, and the others stop as if it were lost.
//!
//! Why that is safe for each log by itself: whatever the model in `model.rs` asks of a log's writer holds here. Its marker
//! was put before the log was listed, each PUT is followed by a listing of the markers, its anchor is moved by a script of
//! its own under the lease, and its first entry comes before anything is served. That other entries go through the same
//! marker takes nothing from that: a marker is only ever compared.
//!
//! A ward with an alarm is read-only, the others serve: each chain is proven by its own anchors, so an alarm of one says
//! nothing against the rest. What follows another log is held back meanwhile and not forgotten ([`super::Log::keep_from`]).
//!
//! The first ward is the vault's own log: it names the markers of earlier terms, and it remembers which of the others were
//! begun. One of these that is empty again was taken away, which is an alarm. So the others write their first entry before.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{error, warn};

use super::handle::Status;
use super::load::{LoadError, Rank};
use super::seat::Seat;
use super::tenure::{Contest, Lease, Tenure};
use super::{Log, LogParts, Machine};

/// Pause after a take-over that came to nothing.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a lease that another holds is asked for, as a part of its length.
const ASKS_PER_LEASE: u32 = 10;

/// Logs of one vault that are written by one process at a time, all or none of them.
pub struct Office {
    parts: LogParts,
    wards: Vec<Box<dyn Ward>>,
    stop: CancellationToken,
    ends_the_task: Arc<DropGuard>,
}

/// One log, as the office sees it. The methods are called in their order, once in a term.
pub(crate) trait Ward: Send {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Shows a status in which nothing is served.
    fn show(&self, status: Status);
    /// Forgets no entry until it is told how far the others are.
    fn hold_all(&self);
    /// Asks the memories of the log; returns the highest epoch that they know.
    fn ask(&mut self) -> BoxFuture<'_, Result<u64, Setback>>;
    /// Loads and judges what the bucket holds; returns the logs that it knows to have been begun.
    fn load<'a>(&'a mut self, tenure: &'a Tenure, rank: Rank<'a>) -> BoxFuture<'a, Result<Vec<String>, Setback>>;
    /// Writes the term's first entry, in which the logs `begun` are noted; `false` under an alarm: nothing is written then.
    fn begin<'a>(&'a mut self, held: Held<'a>, begun: &'a [String]) -> BoxFuture<'a, Result<bool, Setback>>;
    /// The owner's way on from an alarm, if there is one.
    fn acceptance(&self) -> Option<String>;
    /// Lets callers in; `accept` is the owner's way on from all alarms.
    fn open(&mut self, held: Held<'_>, accept: &str);
    /// Serves until the term ends.
    fn serve<'a>(&'a mut self, held: Held<'a>) -> BoxFuture<'a, End>;
    /// Lets nobody in any more and drops the state.
    fn close(&mut self);
}

/// What a term holds.
#[derive(Clone, Copy)]
pub(crate) struct Held<'a> {
    /// The lease.
    pub(crate) lease: &'a Arc<Lease>,
    /// The marker.
    pub(crate) tenure: &'a Tenure,
}

/// Why a term did not begin.
pub(crate) enum Setback {
    /// Try again later.
    Again(String),
    /// Try again above this epoch.
    Outranked(u64, String),
    /// Nothing can be served.
    Refused(String),
}

impl From<LoadError> for Setback {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Refused(reason) => Self::Refused(reason),
            error => Self::Again(error.to_string()),
        }
    }
}

/// How a stretch of a writer's life ended.
pub(crate) enum End {
    /// It was told to.
    Stopped,
    /// Another term may follow.
    SteppedDown(String),
    /// Nothing but a restart changes it.
    Refused(String),
}

impl Office {
    /// An office without logs. Does no I/O.
    pub fn new(parts: LogParts) -> Self {
        let stop = CancellationToken::new();
        let ends_the_task = Arc::new(stop.clone().drop_guard());
        Self { parts, wards: Vec::new(), stop, ends_the_task }
    }

    /// Takes a log in whose entries are kept for `retention_days` at least. The first one is the vault's own.
    pub fn ward<M: Machine>(&mut self, retention_days: u32) -> Log<M> {
        if let Some(first) = self.wards.first() {
            first.hold_all();
        }
        let mut parts = self.parts.clone();
        parts.config.retention_days = retention_days;
        let seat = Seat::<M>::new(parts, self.stop.clone());
        let log = seat.log(Arc::clone(&self.ends_the_task));
        self.wards.push(Box::new(seat));
        log
    }

    /// Starts the writers' task, which waits for the lease, takes over, serves, and starts again when it must step down;
    /// it ends with the last handle of any of the logs. **Must** be called in a Tokio runtime.
    pub fn open(self) {
        let Self { parts, wards, stop, ends_the_task } = self;
        tokio::spawn(Task { parts, wards, stop, epoch: 0 }.run());
        drop(ends_the_task);
    }
}

struct Task {
    parts: LogParts,
    wards: Vec<Box<dyn Ward>>,
    stop: CancellationToken,
    /// The highest epoch that was seen anywhere.
    epoch: u64,
}

impl Task {
    async fn run(mut self) {
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            self.show(&Status::Standby);
            let Some(lease) = stop.run_until_cancelled(wait_for_lease(&self.parts)).await else { continue };
            let kept = lease.keep();
            let end = self.hold(&lease).await;
            self.wards.iter_mut().for_each(|ward| ward.close());
            self.show(&Status::Standby);
            drop(kept);
            lease.release().await;
            match end {
                End::Stopped => break,
                End::Refused(reason) => {
                    error!(%reason, "the vault's logs can't be served");
                    self.show(&Status::Refused { reason });
                    stop.cancelled().await;
                }
                End::SteppedDown(reason) => {
                    warn!(%reason, "stepped down");
                    stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                }
            }
        }
        self.show(&Status::Stopped);
    }

    fn show(&self, status: &Status) {
        self.wards.iter().for_each(|ward| ward.show(status.clone()));
    }

    async fn hold(&mut self, lease: &Arc<Lease>) -> End {
        let stop = self.stop.clone();
        let tenure = tokio::select! {
            tenure = self.take_over(lease) => tenure,
            () = lease.lost() => return End::SteppedDown("the lease was lost".to_owned()),
            () = stop.cancelled() => return End::Stopped,
        };
        match tenure {
            Ok(tenure) => self.serve(Held { lease, tenure: &tenure }).await,
            Err(Setback::Refused(reason)) => End::Refused(reason),
            Err(Setback::Again(reason)) => End::SteppedDown(reason),
            Err(Setback::Outranked(epoch, reason)) => {
                self.epoch = self.epoch.max(epoch);
                End::SteppedDown(reason)
            }
        }
    }

    /// Takes over: marker, loads, judgements, first entries. Nothing is served meanwhile.
    async fn take_over(&mut self, lease: &Arc<Lease>) -> Result<Tenure, Setback> {
        for ward in &mut self.wards {
            self.epoch = self.epoch.max(ward.ask().await?);
        }
        let tenure = Tenure::claim(&self.parts, lease, self.epoch).await.map_err(|contest| match contest {
            Contest::Outranked(term) => Setback::Outranked(term.epoch, format!("another writer took over: {term}")),
            Contest::Unlisted => Setback::Again("the bucket does not list the marker just written".to_owned()),
            Contest::Store(error) => Setback::Again(error.to_string()),
        })?;
        let held = Held { lease, tenure: &tenure };
        let Some((first, others)) = self.wards.split_first_mut() else { return Ok(tenure) };
        let known = first.load(&tenure, Rank::First).await?;
        for ward in &mut *others {
            ward.load(&tenure, Rank::Later { begun: &known }).await?;
        }
        let mut begun = Vec::new();
        for ward in others {
            if ward.begin(held, &[]).await? && !known.iter().any(|name| name == ward.name()) {
                begun.push(ward.name().to_owned());
            }
        }
        first.begin(held, &begun).await?;
        Ok(tenure)
    }

    async fn serve(&mut self, held: Held<'_>) -> End {
        // The first comes last: whoever waits for the vault finds the others open.
        let accept = self.wards.iter().filter_map(|ward| ward.acceptance()).collect::<Vec<_>>().join(",");
        self.wards.iter_mut().rev().for_each(|ward| ward.open(held, &accept));
        if !accept.is_empty() {
            error!("to go on from what the bucket holds, start once with ACCEPT_HEAD={accept}");
        }
        let mut serving: FuturesUnordered<_> = self.wards.iter_mut().map(|ward| ward.serve(held)).collect();
        let mut end = End::Stopped;
        while let Some(one) = serving.next().await {
            // A ward that was stopped has ended well, and the others' entries on their way may still be acknowledged.
            if !matches!(one, End::Stopped) {
                held.lease.forsake();
            }
            if matches!(end, End::Stopped) {
                end = one;
            }
        }
        end
    }
}

async fn wait_for_lease(parts: &LogParts) -> Arc<Lease> {
    let ttl = Duration::from_secs(parts.config.lease_secs);
    let mut was_away = false;
    loop {
        match Lease::acquire(&parts.state, ttl).await {
            Ok(Some(lease)) => return lease,
            Ok(None) => was_away = false,
            Err(error) if !was_away => {
                warn!(%error, "the lease can't be asked for");
                was_away = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(ttl / ASKS_PER_LEASE).await;
    }
}
